//! Packing and unpacking. What comes out is bounded, and so is the memory it takes on the way.

use std::io::{self, Read, Write};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use ruzstd::{
    decoding::StreamingDecoder,
    encoding::{CompressionLevel, compress_to_vec},
};

use super::{Encoding, PackageError};

const WASM: &[u8] = b"\0asm";
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const ELF: &[u8] = b"\x7fELF";

/// Largest window of a zstd frame: what `zstd -19` uses. The window is memory that a few bytes may ask for.
const ZSTD_WINDOW: u64 = 8 << 20;

/// Unpacks a component to at most `limit` bytes.
pub(super) fn unpack(stored: &[u8], encoding: Encoding, limit: usize) -> Result<Vec<u8>, PackageError> {
    let key = encoding.key();
    let wrong = |problem: String| PackageError::WrongEncoding { key, problem };
    if stored.is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    let found = told(stored);
    match encoding {
        // What it is otherwise (text, machine code), the sandbox says better.
        Encoding::Plain => match found {
            Some(other @ (Encoding::Gzip | Encoding::Zstd)) => {
                Err(wrong(format!("it is compressed; name the key `{}`", other.key())))
            }
            Some(Encoding::Plain) | None if stored.len() > limit => {
                Err(PackageError::UnpackedTooLarge { key, stored: stored.len(), limit })
            }
            Some(Encoding::Plain) | None => Ok(stored.to_vec()),
        },
        Encoding::Gzip | Encoding::Zstd if found != Some(encoding) => Err(wrong(match found {
            Some(other) => format!("it is not; name the key `{}`", other.key()),
            None => "the bytes are not compressed in this way; look at how the ConfigMap was made".to_owned(),
        })),
        Encoding::Gzip => bounded(MultiGzDecoder::new(stored), stored.len(), encoding, limit),
        Encoding::Zstd => {
            let window = ZSTD_WINDOW.max(u64::try_from(limit).unwrap_or(u64::MAX));
            let reader = StreamingDecoder::new_with_max_window_size(stored, window)
                .map_err(|error| wrong(format!("cannot be unpacked: {error}")))?;
            bounded(reader, stored.len(), encoding, limit)
        }
    }
}

fn bounded(reader: impl Read, stored: usize, encoding: Encoding, limit: usize) -> Result<Vec<u8>, PackageError> {
    let key = encoding.key();
    let mut unpacked = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader
        .take(most)
        .read_to_end(&mut unpacked)
        .map_err(|error| PackageError::WrongEncoding { key, problem: format!("cannot be unpacked: {error}") })?;
    if unpacked.len() > limit {
        return Err(PackageError::UnpackedTooLarge { key, stored, limit });
    }
    Ok(unpacked)
}

/// What the first bytes say.
fn told(bytes: &[u8]) -> Option<Encoding> {
    if bytes.starts_with(GZIP) {
        Some(Encoding::Gzip)
    } else if bytes.starts_with(ZSTD) {
        Some(Encoding::Zstd)
    } else if bytes.starts_with(WASM) || bytes.starts_with(ELF) {
        Some(Encoding::Plain)
    } else {
        None
    }
}

/// Packs a component. The same bytes give the same result, whenever and wherever.
pub(super) fn pack(component: &[u8], encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Plain => component.to_vec(),
        Encoding::Gzip => gzip(component).unwrap_or_default(),
        Encoding::Zstd => compress_to_vec(component, CompressionLevel::Fastest),
    }
}

fn gzip(component: &[u8]) -> io::Result<Vec<u8>> {
    // No time and no name in the header.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(component)?;
    encoder.finish()
}
