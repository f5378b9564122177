"""Many images at once: archives and forms of images, jobs that segment them in the background, and their results."""
