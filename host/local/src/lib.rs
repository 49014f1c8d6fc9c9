//! The same loop on a directory of manifests, with a DNS preview server
