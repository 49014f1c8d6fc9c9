//! Child processes that cannot outlive the test that started them.
//!
//! Three nets, one below the other: dropping a [`Process`] stops it (also while a test panics), on Linux the
//! kernel kills it when this process dies, and each child is in a process group of its own, so a Ctrl-C
//! reaches only the test, which then goes down in order.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::wait::wait_until;

/// How many lines of the log an error shows.
const TAIL: usize = 25;

/// What to start, and how to stop it.
#[derive(Debug, Clone)]
pub struct Spec {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    log: PathBuf,
    grace: Duration,
}

impl Spec {
    /// A program to run under `name`; what it prints goes to `log`.
    pub fn new(name: &str, program: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            log: log.into(),
            grace: Duration::from_secs(3),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// How long the process may take to end by itself after SIGTERM before it is killed.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn command(&self, log: File) -> Result<Command> {
        let mut command = match SETPRIV.as_deref() {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stderr(log.try_clone().context("cannot share the log file")?)
            .stdout(log);
        if SETPRIV.is_some() {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        Ok(command)
    }
}

/// A running child process; it is stopped when this value is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    grace: Duration,
}

impl Process {
    /// Starts it. That it runs does not mean that it is ready: see [`Process::ready`].
    pub fn start(spec: &Spec) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&spec.log)
            .with_context(|| format!("cannot open the log file {}", spec.log.display()))?;
        let child = spawn(spec.command(log)?)
            .with_context(|| format!("cannot start {} ({})", spec.name, spec.program.display()))?;
        Ok(Self { name: spec.name.clone(), child, log: spec.log.clone(), grace: spec.grace })
    }

    /// Polls `look` until it answers `Ok`. Fails when the limit passes, and at once when the process ends;
    /// both errors carry the end of the log.
    pub async fn ready(
        &mut self,
        limit: Duration,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<()>,
    ) -> Result<()> {
        let name = self.name.clone();
        let outcome = wait_until(limit, &format!("{name}: {what}"), async || {
            if let Some(status) = self.ended()? {
                return Ok(Err(anyhow!("{name} ended with {status} before it was ready")));
            }
            look().await.map(Ok)
        })
        .await;
        outcome.and_then(|inner| inner).map_err(|error| self.with_log(&error))
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map_or_else(
            |error| format!("(cannot read {}: {error})", self.log.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// The status it ended with, or nothing while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot ask after {}", self.name))
    }

    /// Freezes it (SIGSTOP): its ports still accept connections, and nothing answers.
    ///
    /// Returns when the last of its threads stands still; the signal alone is only the beginning of that.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let asked = Instant::now();
        // The state is looked at, not taken: a second call finds it too.
        let look = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        while asked.elapsed() < Duration::from_secs(20) {
            let seen = waitid(WaitId::Pid(Pid::from_child(&self.child)), look);
            if seen.with_context(|| format!("cannot look at {}", self.name))?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(2));
        }
        bail!("{} did not stand still", self.name)
    }

    /// Lets it go on after [`Process::pause`].
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&mut self) -> Result<()> {
        // `Child::kill` does nothing when the child was waited for already.
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits; kills it when its grace is over.
    pub fn stop(&mut self) -> Result<()> {
        self.ask_to_end()?;
        let asked = Instant::now();
        while asked.elapsed() < self.grace {
            if self.ended()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.kill()
    }

    /// Asks it to end (SIGTERM) and does not wait, for stopping several at once.
    pub fn ask_to_end(&mut self) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        self.send(Signal::TERM)?;
        // A frozen process would never see the SIGTERM.
        self.send(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} has ended already with {status}", self.name);
        }
        self.send(signal)
    }

    /// Only for a child that has not been waited for: its id cannot belong to another process.
    fn send(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("cannot send {signal:?} to {}", self.name))
    }

    fn with_log(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow!("{error:#}\n--- end of {} ---\n{}", self.log.display(), tail(&self.log(), TAIL))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- end of the log of {} ---\n{}", self.name, tail(&self.log(), TAIL));
        }
        if self.stop().is_err() {
            // Nothing more can be done here; on Linux the kernel ends it together with this process.
            let _ = self.child.kill();
        }
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// `setpriv` of util-linux, where it knows `--pdeathsig`: it asks the kernel to kill the program when its
/// parent is gone, and then becomes that program.
static SETPRIV: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let path = crate::binaries::on_path("setpriv")?;
    let works = Command::new(&path)
        .args(["--pdeathsig", "KILL", "--", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    works.is_ok_and(|status| status.success()).then_some(path)
});

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts commands on one thread that lives as long as the program.
///
/// "When its parent is gone" means the *thread* that started it: a test's own thread, or one of tokio's
/// blocking pool, may end while the child is still wanted.
static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (sender, orders) = mpsc::channel::<Order>();
    let started = thread::Builder::new().name("testbed-spawner".to_owned()).spawn(move || {
        for (mut command, reply) in orders {
            // A caller that is gone has dropped the receiver; the child is dropped unseen then.
            let _ = reply.send(command.spawn());
        }
    });
    if let Err(error) = started {
        eprintln!("cannot start the thread that starts processes: {error}");
    }
    sender
});

fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts processes is gone");
    SPAWNER.send((command, reply)).map_err(|_| gone(mpsc::RecvError))?;
    answer.recv().map_err(gone)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, folder: &Path) -> Spec {
        Spec::new("shell", "/bin/sh", folder.join("log")).args(["-c", script])
    }

    fn is_alive(id: u32) -> bool {
        kill_process_test(id).is_ok()
    }

    fn kill_process_test(id: u32) -> rustix::io::Result<()> {
        let id = i32::try_from(id).unwrap();
        rustix::process::test_kill_process(Pid::from_raw(id).unwrap())
    }

    #[tokio::test]
    async fn an_early_end_is_an_error_with_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(&shell("echo no such flag; exit 3", folder.path())).unwrap();
        let error = process
            .ready(Duration::from_secs(20), "anything", async || bail!("not yet"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("ended with exit status: 3"), "{error}");
        assert!(error.contains("no such flag"), "{error}");
    }

    #[test]
    fn dropping_stops_it_even_when_it_is_frozen() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(&shell("sleep 600", folder.path())).unwrap();
        let id = process.id();
        process.pause().unwrap();
        process.pause().unwrap();
        assert!(is_alive(id));
        drop(process);
        assert!(!is_alive(id));
    }

    #[test]
    fn one_that_will_not_go_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let spec = shell("trap '' TERM; while :; do sleep 1; done", folder.path());
        let process = Process::start(&spec.grace(Duration::from_millis(100))).unwrap();
        let id = process.id();
        drop(process);
        assert!(!is_alive(id));
    }

    #[test]
    fn a_panicking_test_takes_it_along() {
        let folder = tempfile::tempdir().unwrap();
        let spec = shell("sleep 600", folder.path());
        let (sender, ids) = mpsc::channel();
        let outcome = thread::spawn(move || {
            let process = Process::start(&spec).unwrap();
            sender.send(process.id()).unwrap();
            panic!("as a failing test would");
        })
        .join();
        assert!(outcome.is_err());
        assert!(!is_alive(ids.recv().unwrap()));
    }

    #[test]
    fn it_outlives_the_thread_that_asked_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let spec = shell("sleep 600", folder.path());
        let mut process = thread::spawn(move || Process::start(&spec).unwrap()).join().unwrap();
        // The kernel would deliver the signal while the thread ends, before `join` returns.
        assert!(process.ended().unwrap().is_none());
    }
}
