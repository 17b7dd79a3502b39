"""Problems and traces to token ids: the one place that renders prompts, thoughts, their close, and answers."""
