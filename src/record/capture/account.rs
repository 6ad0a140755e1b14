//! What was found in a capture beside its SIP messages, so that nothing is passed over in silence.

use std::fmt;

/// The account of one capture.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    pub frames: u64,
    /// Time of the newest frame, nanoseconds since the Unix epoch.
    pub last_ns: u64,
    /// SIP messages handed over.
    pub messages: u64,
    /// The same datagram or segment again: the capture holds it at two places of its way.
    pub copies: u64,
    /// Frames of which less was captured than there was (a snap length).
    pub cut_short: u64,
    /// Blocks of a pcapng that cannot be read.
    pub damaged_blocks: u64,
    /// Packets whose own headers contradict each other.
    pub damaged_packets: u64,
    /// Frames captured beyond the year 2262, as they say.
    pub times_unusable: u64,
    /// Frames of link layers that are not known, and the first such number.
    pub unknown_link: u64,
    pub unknown_link_type: Option<u32>,
    /// IP datagrams of which not all fragments were captured.
    pub fragments_lost: u64,
    /// Places where a TCP stream lacks bytes.
    pub stream_gaps: u64,
    /// Packets in tunnels that are encrypted, of an unknown form or too deep.
    pub tunnels_closed: u64,
    /// SIP messages of which ICMP says that they did not arrive.
    pub undelivered: u64,
    /// TCP streams that carry TLS: what is in them cannot be seen.
    pub encrypted_streams: u64,
    /// Frames of WebSockets that are compressed: what is in them is not looked at.
    pub compressed_frames: u64,
    /// What wrote the capture, where a pcapng says it.
    pub application: Option<String>,
    /// Why the capture could not be read to its end.
    pub torn: Option<String>,
}

/// What to do about it: the session keys are the client's or the server's to write.
const ENCRYPTED: &str = "directions of TLS connections cannot be looked into (with a key log, SSLKEYLOGFILE, tshark takes \
                         them off: tshark -r FILE -o tls.keylog_file:KEYS -U \"OSI layer 7\" -w sip.pcapng, and diagnose \
                         reads sip.pcapng)";

impl Account {
    /// What a reader of the findings has to know of the capture, a sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let counted = [
            (self.cut_short, "frames were not captured whole (capture with -s 0)"),
            (self.damaged_blocks, "damaged blocks were passed over"),
            (self.damaged_packets, "damaged packets were passed over"),
            (self.times_unusable, "frames with an impossible time were passed over"),
            (self.fragments_lost, "IP datagrams lack fragments"),
            (self.stream_gaps, "gaps are in TCP streams: messages in them are missing"),
            (self.tunnels_closed, "packets are in tunnels that cannot be looked into (IPsec, MACsec and the like)"),
            (self.undelivered, "SIP messages came back as undeliverable (ICMP)"),
            (self.encrypted_streams, ENCRYPTED),
            (self.compressed_frames, "frames of WebSockets are compressed and were passed over"),
        ];
        let mut remarks: Vec<_> =
            counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if let (1.., Some(link)) = (self.unknown_link, self.unknown_link_type) {
            remarks
                .push(format!("{} frames are of a link layer that is not known (LINKTYPE {link})", self.unknown_link));
        }
        remarks.extend(self.torn.clone());
        remarks
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames, {} SIP messages", self.frames, self.messages)?;
        self.remarks().iter().try_for_each(|remark| write!(f, "; {remark}"))
    }
}
