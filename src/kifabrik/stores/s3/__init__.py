"""Objects in an S3 store: Ceph's RADOS gateway, MinIO, Amazon S3 and whatever else speaks it."""
