//! A capture that tshark takes on the loopback interface. A missing tshark is a failure, never a
//! skipped test: `tests/all` installs it.

use super::clock;
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Everything that a filter lets in, from the start on.
pub struct Capture {
    child: Child,
    file: PathBuf,
}

impl Capture {
    /// Begins to write `taken.pcapng` in `dir`; the filter is one of libpcap's.
    pub fn start(dir: &Path, filter: &str) -> Capture {
        let (file, log) = (dir.join("taken.pcapng"), dir.join("tshark.log"));
        let stderr = File::create(&log).expect("our own directory");
        let child = Command::new("tshark")
            .args(["-i", "lo", "-B", "16", "-f", filter, "-w"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("tshark is installed (tests/all does it)");
        let capture = Capture { child, file };
        // The file gets its header when the interface is open.
        clock::until("tshark to capture", LIMIT, || {
            let begun = std::fs::metadata(&capture.file).is_ok_and(|file| file.len() > 0);
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            (begun && said.contains("Capturing on")).then_some(())
        });
        capture
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Ends it once it holds everything that was sent before this call, and says where it is. The
    /// last packet in it is a datagram to `to`, which the filter must let in.
    pub fn stop(mut self, to: SocketAddr) -> PathBuf {
        // A capture is written in order: what came before this datagram, which is no SIP message,
        // is written too.
        const LAST: &[u8] = b"the capture may end here";
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.send_to(LAST, to).expect("loopback takes it");
        clock::until("the capture to be written", LIMIT, || {
            let written = std::fs::read(&self.file).unwrap_or_default();
            written.windows(LAST.len()).any(|bytes| bytes == LAST).then_some(())
        });
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(told.expect("kill is in every system").success());
        clock::until("tshark to end", LIMIT, || self.child.try_wait().expect("our own child"));
        self.file.clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Both fail harmlessly on a process that has ended and was waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
