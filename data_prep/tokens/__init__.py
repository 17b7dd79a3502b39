"""Problems and traces to token ids: the one place that renders a prompt, a thought, its close and an answer."""
