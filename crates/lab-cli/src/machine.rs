//! What can be asked of a machine: the one that we run on, or the recording of another.
//!
//! `xtask` asks before anything is built, `lab` before it starts a cluster. Each starts programs in its own way, and tests answer
//! from a recording, so all of them hand in an implementation.

use std::net::IpAddr;

/// What a program that was run to its end said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

pub trait Machine {
    /// A file's text; nothing if it can't be read.
    fn read(&self, path: &str) -> Option<String>;

    /// Whether there is such a file or folder.
    fn exists(&self, path: &str) -> bool;

    /// Whether there is such a program.
    fn has(&self, program: &str) -> bool;

    /// Runs a program with these arguments; nothing if there is no such program.
    fn run(&self, program: &str, arguments: &[&str]) -> Option<Said>;

    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;

    /// What a program printed, if it did its work.
    fn output(&self, program: &str, arguments: &[&str]) -> Option<String> {
        self.run(program, arguments).filter(|said| said.ok).map(|said| said.stdout)
    }

    /// The kernel's release, such as `6.1.0-40-amd64`.
    fn kernel(&self) -> String {
        self.read("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
    }

    fn is_root(&self) -> bool {
        let status = self.read("/proc/self/status").unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
        ids.split_whitespace().nth(1) == Some("0")
    }

    /// The kernel's configuration, where it or its distribution keeps it.
    fn kernel_options(&self) -> Option<String> {
        let release = self.kernel();
        let files = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
        let kept = files.iter().find_map(|file| self.read(file));
        kept.or_else(|| self.output("zcat", &["/proc/config.gz"]))
    }

    fn hostname(&self) -> String {
        self.read("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
    }

    /// The name servers that containers would be given: those behind systemd's resolver, which only this machine itself reaches.
    fn name_servers(&self) -> Vec<IpAddr> {
        let servers = |path: &str| -> Vec<IpAddr> {
            let text = self.read(path).unwrap_or_default();
            text.lines().filter_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok()).collect()
        };
        let first = servers("/etc/resolv.conf");
        match first.iter().all(IpAddr::is_loopback) {
            true => servers("/run/systemd/resolve/resolv.conf"),
            false => first,
        }
    }
}

/// The numbers with which a kernel's release begins.
pub fn release(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Machines of which a test recorded only a part.
#[cfg(test)]
pub mod recorded {
    use super::*;

    /// What programs say, and that there are no files.
    pub struct Programs<F>(pub F);

    impl<F: Fn(&str, &[&str]) -> Option<Said>> Machine for Programs<F> {
        fn read(&self, _: &str) -> Option<String> {
            None
        }
        fn exists(&self, _: &str) -> bool {
            false
        }
        fn has(&self, program: &str) -> bool {
            self.0(program, &[]).is_some()
        }
        fn run(&self, program: &str, arguments: &[&str]) -> Option<Said> {
            self.0(program, arguments)
        }
        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }

    /// The text of files, and that there are no programs.
    pub struct Files<'a>(pub &'a [(&'a str, &'a str)]);

    impl Machine for Files<'_> {
        fn read(&self, path: &str) -> Option<String> {
            self.0.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
        }
        fn exists(&self, path: &str) -> bool {
            self.read(path).is_some()
        }
        fn has(&self, _: &str) -> bool {
            false
        }
        fn run(&self, _: &str, _: &[&str]) -> Option<Said> {
            None
        }
        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{recorded::Files, *};

    #[track_caller]
    fn has_servers(files: &[(&str, &str)], expected: &[&str]) {
        let servers = Files(files).name_servers();
        assert_eq!(servers.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn name_servers_are_those_behind_a_resolver_of_this_machine() {
        const BEHIND: (&str, &str) = ("/run/systemd/resolve/resolv.conf", "nameserver 10.1.0.2\n");
        has_servers(&[("/etc/resolv.conf", "# stub\nnameserver 127.0.0.53\noptions edns0\n"), BEHIND], &["10.1.0.2"]);
        let both = "nameserver 192.0.2.1\nnameserver 2001:db8::1\n";
        has_servers(&[("/etc/resolv.conf", both), BEHIND], &["192.0.2.1", "2001:db8::1"]);
        has_servers(&[], &[]);
    }

    #[test]
    fn a_release_begins_with_two_numbers() {
        assert_eq!(release("5.10.0-36-amd64"), (5, 10));
        assert_eq!(release("6.18-rc1"), (6, 18));
        assert_eq!(release("unknown"), (0, 0));
    }
}
