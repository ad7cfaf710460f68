"""Images and masks: files, anatomical planes, segmentations and overlays."""
