"""What training leaves behind, found again: runs, their snapshots, the network that they were fine-tuned from."""
