"""What secure sums cost: seconds, bytes and error, side by side on the same updates."""
