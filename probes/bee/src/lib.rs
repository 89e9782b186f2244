//! bee builds eBPF probes, stores them as OCI images and runs them; their maps become logs and Prometheus metrics.

pub mod atomic;
pub mod build;
pub mod init;
pub mod store;

pub mod object {
    #[derive(Debug, thiserror::Error)]
    #[error("x")]
    pub struct Error;
    pub fn inspect(_: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}
pub mod run {
    pub struct RunOptions {
        pub name: String,
        pub object: Vec<u8>,
        pub terminal: bool,
        pub port: u16,
    }
    pub fn run(_: RunOptions) -> anyhow::Result<()> {
        Ok(())
    }
}
