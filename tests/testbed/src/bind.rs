//! A BIND of the test's own, with zones that ExternalDNS writes by dynamic update.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::binaries::{Tool, cache_folder};
use crate::dig::dig;
use crate::folder::{self, Folder, write};
use crate::ports::{Port, retry_when_taken};
use crate::process::{Process, Spec};

/// The name of the key that may update and transfer the zones.
pub const KEY_NAME: &str = "testbed";
/// Its algorithm.
pub const KEY_ALGORITHM: &str = "hmac-sha256";

/// A running `named`. It keeps everything in a temporary folder, listens on loopback only, asks nobody
/// else, and needs no root.
#[derive(Debug)]
pub struct Bind {
    // The order of the fields is the order of their end.
    process: Process,
    secret: String,
    zones: Vec<String>,
    port: Port,
    _folder: Folder,
}

impl Bind {
    /// Starts it with these zones, e.g. `["example.com"]`, each with an SOA and an NS and nothing else.
    pub async fn start(zones: &[&str]) -> Result<Self> {
        ensure!(!zones.is_empty(), "a DNS server without zones answers nothing");
        let program = unconfined(Tool::Named.path().await?)?;
        retry_when_taken(async || {
            let folder = Folder::create("bind")?;
            let port = Port::take()?;
            let secret = STANDARD.encode(folder::secret()?);
            let config = configuration(folder.path(), &port, &secret, zones)?;
            let config = write(folder.path(), "named.conf", config)?;
            let spec = Spec::new("named", &program, folder.path().join("named.log"))
                .args(["-g".as_ref(), "-c".as_ref(), config.as_os_str()])
                .args(["-n", "1"]);
            let mut process = Process::start(&spec)?;
            let address = port.address();
            for zone in zones {
                process
                    .ready(Duration::from_secs(60), &format!("to answer for {zone}"), async || {
                        let answer = dig(address, zone, "SOA").await?;
                        ensure!(!answer.is_empty(), "no SOA");
                        Ok(())
                    })
                    .await?;
            }
            let zones = zones.iter().map(|&zone| zone.to_owned()).collect();
            Ok(Self { process, secret, zones, port, _folder: folder })
        })
        .await
    }

    /// Where it answers, UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The secret of the key [`KEY_NAME`], base64.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Its zones.
    #[must_use]
    pub fn zones(&self) -> &[String] {
        &self.zones
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Freezes it: questions and updates are not answered.
    pub fn pause(&mut self) -> Result<()> {
        self.process.pause()
    }

    /// Lets it go on.
    pub fn resume(&mut self) -> Result<()> {
        self.process.resume()
    }
}

fn configuration(folder: &Path, port: &Port, secret: &str, zones: &[&str]) -> Result<String> {
    let (at, port) = (folder.display(), port.number());
    let mut text = format!(
        r#"options {{
  directory "{at}";
  pid-file "{at}/named.pid";
  lock-file none;
  session-keyfile "{at}/session.key";
  managed-keys-directory "{at}";
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  allow-query {{ 127.0.0.1; }};
  recursion no;
  dnssec-validation no;
  notify no;
  minimal-responses yes;
}};
controls {{ }};
key "{KEY_NAME}" {{ algorithm {KEY_ALGORITHM}; secret "{secret}"; }};
"#
    );
    for (number, zone) in zones.iter().enumerate() {
        let strange = |c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-');
        ensure!(!zone.is_empty() && !zone.contains(strange), "{zone:?} is no name for a zone");
        let file = write(
            folder,
            &format!("zone-{number}.db"),
            format!("$TTL 60\n@ SOA ns.{zone}. host.{zone}. 1 3600 600 86400 1\n@ NS ns.{zone}.\nns A 127.0.0.1\n"),
        )?;
        writeln!(
            text,
            r#"zone "{zone}" {{
  type primary;
  file "{}";
  update-policy {{ grant {KEY_NAME} zonesub ANY; }};
  allow-transfer {{ key {KEY_NAME}; }};
}};"#,
            file.display()
        )?;
    }
    Ok(text)
}

/// Where AppArmor confines `/usr/sbin/named` to the system's own folders, a copy under another path is run:
/// a profile goes by the path.
fn unconfined(named: PathBuf) -> Result<PathBuf> {
    let on = fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'));
    if !on || !Path::new("/etc/apparmor.d/usr.sbin.named").exists() {
        return Ok(named);
    }
    let folder = cache_folder()?.join("bin");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let copy = folder.join("named");
    let age = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    let fresh = age(&copy).ok().zip(age(&named).ok()).is_some_and(|(ours, theirs)| ours >= theirs);
    if !fresh {
        // Another test may run the old copy: it must be replaced, not written to.
        let half = folder.join(format!(".named.{}", std::process::id()));
        fs::copy(&named, &half).with_context(|| format!("cannot copy {}", named.display()))?;
        fs::rename(&half, &copy).with_context(|| format!("cannot move {} into place", copy.display()))?;
    }
    Ok(copy)
}
