//! Checking a kubeconfig.
