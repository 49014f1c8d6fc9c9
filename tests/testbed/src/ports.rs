//! Free loopback ports that stay ours.
//!
//! Asking the kernel for port 0 gives a port of the ephemeral range, where any outgoing connection of any
//! program may take it between the asking and the server's start, or while a server is stopped to play an
//! outage. So ports are taken below that range, one lock file for each says which test bed of this user has
//! it, and a trial bind says whether somebody else does. The lock is released when the [`Port`] is dropped
//! or the process dies, however it dies.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Below 32768, where Linux starts to hand out ports for outgoing connections; macOS starts at 49152.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A loopback port that no other test bed will use while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Takes a port that is free on 127.0.0.1 for both TCP and UDP.
    pub fn take() -> Result<Self> {
        let locks = lock_folder();
        fs::create_dir_all(&locks)
            .with_context(|| format!("cannot create {}, where test beds mark their ports", locks.display()))?;
        let start = somewhere();
        for step in 0..COUNT {
            let number = FIRST + (start % COUNT + step) % COUNT;
            if let Some(lock) = lock(&locks, number)?
                && is_free(number)
            {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no free loopback port between {FIRST} and {}", FIRST + COUNT)
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The address on loopback.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

fn lock_folder() -> PathBuf {
    // One folder for each user: a file of another user could not be opened for locking.
    let user = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("mcsdns-testbed-ports-{user}"))
}

/// A different start for each call, so that test beds that start together do not walk the same ports.
fn somewhere() -> u16 {
    let number = RandomState::new().hash_one(std::process::id()) % u64::from(COUNT);
    u16::try_from(number).unwrap_or(0)
}

fn lock(folder: &Path, number: u16) -> Result<Option<File>> {
    let path = folder.join(number.to_string());
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    // Close-on-exec is the default in Rust, so no child inherits the lock.
    Ok(file.try_lock().is_ok().then_some(file))
}

fn is_free(number: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, number);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

/// Runs `start` again, up to three times, while it fails because an address is in use: a port can still be
/// taken by a program that is not a test bed.
pub(crate) async fn retry_when_taken<T>(mut start: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut tries = 0;
    loop {
        let outcome = start().await;
        tries += 1;
        match outcome {
            Err(error) if tries < 3 && says_in_use(&error) => {}
            outcome => return outcome,
        }
    }
}

fn says_in_use(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}").to_lowercase();
    text.contains("address already in use") || text.contains("address in use")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_are_distinct_and_bindable() {
        let ports: Vec<Port> = (0..32).map(|_| Port::take().unwrap()).collect();
        let numbers: BTreeSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
        for port in &ports {
            TcpListener::bind(port.address()).unwrap();
        }
    }

    #[tokio::test]
    async fn a_start_is_tried_again_only_when_the_port_was_taken() {
        let mut tries = 0;
        let outcome: Result<()> = retry_when_taken(async || {
            tries += 1;
            bail!("listen tcp: bind: address already in use")
        })
        .await;
        assert!(outcome.is_err());
        assert_eq!(tries, 3);

        tries = 0;
        let outcome: Result<()> = retry_when_taken(async || {
            tries += 1;
            bail!("no such flag")
        })
        .await;
        assert!(outcome.is_err());
        assert_eq!(tries, 1);
    }
}
