"""What any command needs to survive: whole writes, sealed folders, journal, lock, ranks, signs of life."""
