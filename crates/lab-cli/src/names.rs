//! What clusters are called.

use crate::{ClusterChoice, KindOptions, Options};

impl Options {
    /// The name of cluster `number` among this user's: one word, fit for a file name.
    pub fn cluster_name(&self, number: u8) -> String {
        match self.cluster() {
            ClusterChoice::Host => format!("host-{number}"),
            ClusterChoice::Kind => format!("kind-{}", self.kind.cluster(number)),
            ClusterChoice::Context(name) => format!("context-{}", name.chars().map(safe).collect::<String>()),
        }
    }
}

fn safe(c: char) -> char {
    if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }
}

impl KindOptions {
    /// kind's own name for cluster `number`.
    pub fn cluster(&self, number: u8) -> String {
        self.name.clone().unwrap_or_else(|| Self::default_cluster(number))
    }

    /// The same if nobody chooses another.
    pub fn default_cluster(number: u8) -> String {
        if number == 1 { "ebpf".to_owned() } else { format!("ebpf-{number}") }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::Cli;

    #[test]
    fn each_cluster_has_a_name_that_is_a_file_name() {
        let name = |line: &str, number| Cli::parse_from(line.split(' ')).options.cluster_name(number);
        assert_eq!(name("xtask status", 7), "host-7");
        assert_eq!(
            (name("xtask status --on kind", 1), name("xtask status --on kind", 2)),
            ("kind-ebpf".into(), "kind-ebpf-2".into())
        );
        assert_eq!(name("xtask status --on kind --name room", 2), "kind-room");
        assert_eq!(name("xtask status --on context:a/b@c", 1), "context-a_b_c");
    }
}
