//! How much is read. Everything that comes from files is bounded, and each bound is named when it is hit.

/// Bounds of what is read from a folder of manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file. A larger one is refused without being read.
    pub file_bytes: u64,
    /// Bytes of all files together.
    pub total_bytes: u64,
    /// Files of one folder.
    pub files: usize,
    /// Folders below `clusters/`.
    pub clusters: usize,
    /// Documents of one file.
    pub documents: usize,
    /// Objects of one file, those in lists included.
    pub objects: usize,
    /// Levels of nesting within a document.
    pub depth: usize,
    /// Nodes of one document (texts, lists and objects), anchors expanded.
    pub nodes: usize,
    /// Endpoints of one EndpointSlice; what an API server allows.
    pub endpoints: usize,
    /// Entries of one `status.loadBalancer.ingress`.
    pub ingress: usize,
    /// Problems of one file that are listed one by one.
    pub problems: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 16 << 20,
            total_bytes: 512 << 20,
            files: 10_000,
            clusters: 1_000,
            documents: 10_000,
            objects: 100_000,
            depth: 64,
            nodes: 4_000_000,
            endpoints: 1_000,
            ingress: 1_000,
            problems: 50,
        }
    }
}
