"""Pictures with what is in them: real, counted by COCO, or drawn."""
