//! The custom resources of mcsdns and the conversion between Kubernetes objects and domain values
