//! One node as a process of the program itself: started, killed, stopped, and its log read.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use domain::area::AreaCode;
use serde_json::Value;

use super::eventually;
use super::network::Ports;

pub struct Node {
    pub area: AreaCode,
    pub dir: PathBuf,
    pub ports: Ports,
    /// Serial number of its certificate.
    pub serial: String,
    /// What it logs; as LIANGDI_LOG.
    pub verbosity: &'static str,
    /// More of its environment.
    pub environment: Vec<(String, String)>,
    /// What the program is started by, if not directly.
    pub launcher: Vec<String>,
    child: Option<Child>,
}

impl Node {
    pub fn new(area: AreaCode, dir: PathBuf, ports: Ports, serial: String) -> Self {
        Self {
            area,
            dir,
            ports,
            serial,
            verbosity: "info,sled=warn",
            environment: Vec::new(),
            launcher: Vec::new(),
            child: None,
        }
    }

    /// Changes its configuration; holds from its next start.
    pub fn configure(&self, change: impl FnOnce(String) -> String) {
        let file = self.dir.join("liangdi.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, change(text)).unwrap();
    }

    /// Lets everybody reach it through the line at this port; to be called before it is anybody's peer.
    pub fn advertise(&self, port: u16) {
        self.configure(|text| {
            text.replace("[listen]\n", &format!("[listen]\nadvertise = \"127.0.0.1:{port}\"\n"))
        });
    }

    /// Calls another node through the line at `port`.
    pub fn call_through(&self, other: &Self, port: u16) {
        let (from, to) = (other.endpoint(), format!("127.0.0.1:{port}"));
        self.configure(|text| text.replace(&from, &to));
    }

    /// Gives it a section of limits in its configuration, in the place of the one it had; for the next start.
    pub fn limit(&self, limits: &str) {
        let path = self.dir.join("liangdi.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let before = text.split("[limits]").next().unwrap();
        std::fs::write(&path, format!("{before}[limits]\n{limits}\n")).unwrap();
    }

    /// Starts the process and waits until it serves.
    pub fn start(&mut self) {
        let before = self.serves();
        self.spawn();
        eventually(&format!("{} serves", self.area), || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{} ended: {ended:?}\n{}", self.area, self.log());
            (self.serves() > before).then_some(())
        });
    }

    /// Starts the process and does not wait.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log: File =
            OpenOptions::new().create(true).append(true).open(self.dir.join("log")).unwrap();
        let words =
            [self.launcher.as_slice(), &[env!("CARGO_BIN_EXE_liangdi").to_owned()]].concat();
        let child = Command::new(&words[0])
            .args(&words[1..])
            // It ends with the test binary, however that ends.
            .args(["serve", "--stop-with-stdin", "--log-format", "json", "--config"])
            .arg(self.dir.join("liangdi.toml"))
            .env("LIANGDI_LOG", self.verbosity)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    fn serves(&self) -> usize {
        self.log().matches("the node serves").count()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Whether the process is there.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Power off: SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops in order: SIGTERM.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("-TERM");
        self.ended()
    }

    /// Sends it a signal, such as `-STOP`.
    pub fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it was started");
        eventually("the process ends", || child.try_wait().unwrap())
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The lines of its log that are JSON.
    pub fn events(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a log line with this code about the caller at `port` (any caller if none).
    pub fn logged(&self, code: &str, port: Option<u16>) -> Value {
        let address = port.map(|port| format!("127.0.0.1:{port}"));
        let fits = |event: &Value| {
            event["code"] == code
                && address.as_ref().is_none_or(|address| event["address"] == address.as_str())
        };
        eventually(
            &format!("{code} for {address:?} in the log of {}:\n{}", self.area, self.log()),
            || self.events().into_iter().find(fits),
        )
    }

    /// Fails if the node ever panicked.
    pub fn never_panicked(&self) {
        let log = self.log();
        assert!(!log.contains("panicked"), "{} panicked:\n{log}", self.area);
    }

    /// Where the office API is.
    pub fn office(&self) -> String {
        format!("127.0.0.1:{}", self.ports.office)
    }

    /// Where the node API is.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.ports.node)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("log of {}:\n{}", self.area, self.log());
        }
    }
}
