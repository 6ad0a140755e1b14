//! A limit on memory that the kernel keeps by killing: a control group of the test's own, of
//! version 1 or 2, whichever this machine has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whoever is in it may use so much memory together. Removed when it is dropped, by when its
/// processes must have ended.
pub struct MemoryLimit {
    folder: PathBuf,
    /// The file that counts kills, and the file of the members.
    kills: &'static str,
}

impl MemoryLimit {
    /// Makes one beside, or below, the group the test itself is in.
    ///
    /// # Errors
    /// Why there is none to be had; a test that needs it must fail with that.
    pub fn of(bytes: u64) -> Result<MemoryLimit, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| format!("/proc/self/mounts: {error}"))?;
        let mut tried = Vec::new();
        for mount in mounts.lines() {
            let fields: Vec<&str> = mount.split(' ').collect();
            let [_, at, kind, options, ..] = fields[..] else { continue };
            let is_second = kind == "cgroup2";
            if !(is_second || kind == "cgroup" && options.split(',').any(|option| option == "memory")) {
                continue;
            }
            for parent in own_group(Path::new(at), is_second).ancestors().filter(|parent| parent.starts_with(at)) {
                match made(parent, is_second, bytes) {
                    Ok(limit) => return Ok(limit),
                    Err(why) => tried.push(why),
                }
            }
        }
        Err(format!("no control group limits memory here (it takes root, or a group that is delegated): {tried:?}"))
    }

    /// The same command, as a member of the group from its first instruction on.
    pub fn command(&self, of: &Command) -> Command {
        let mut member = Command::new("sh");
        member.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.folder.join("cgroup.procs"));
        member.arg(of.get_program()).args(of.get_args());
        of.get_current_dir().into_iter().for_each(|dir| _ = member.current_dir(dir));
        for (name, value) in of.get_envs() {
            value.into_iter().for_each(|value| _ = member.env(name, value));
        }
        member
    }

    /// How many the kernel has killed here because they wanted more.
    pub fn kills(&self) -> u64 {
        let told = fs::read_to_string(self.folder.join(self.kills)).expect("a file of the kernel's");
        let count = told.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or_else(|| panic!("a count: {told}"))
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

/// The folder of the group this process is in.
fn own_group(mount: &Path, is_second: bool) -> PathBuf {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, of, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_it = if is_second { number == "0" } else { of.split(',').any(|of| of == "memory") };
        is_it.then(|| path.trim_start_matches('/').to_owned())
    });
    let folder = mount.join(own.unwrap_or_default());
    // In a container the path may be one of the host's.
    if folder.is_dir() { folder } else { mount.to_owned() }
}

fn made(parent: &Path, is_second: bool, bytes: u64) -> Result<MemoryLimit, String> {
    let folder = parent.join(format!("regstorm-test-{}", std::process::id()));
    fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let kills = if is_second { "memory.events" } else { "memory.oom_control" };
    let limit = MemoryLimit { folder, kills };
    let (limits, swapping) = match is_second {
        true => (("memory.max", bytes), ("memory.swap.max", 0)),
        false => (("memory.limit_in_bytes", bytes), ("memory.memsw.limit_in_bytes", bytes)),
    };
    let set = |(name, value): (&str, u64)| {
        let file = limit.folder.join(name);
        fs::write(&file, value.to_string()).map_err(|error| format!("{}: {error}", file.display()))
    };
    set(limits)?;
    // Kernels that do not count what is swapped have no such file.
    if limit.folder.join(swapping.0).exists() {
        set(swapping)?;
    }
    Ok(limit)
}
