"""The store of the stack: one Ceph node as plain processes, and the users, buckets and rights on it or on any other."""
