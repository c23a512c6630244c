"""image -> stage: judge an image, and move the stages of its model."""
