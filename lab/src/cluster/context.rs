//! A cluster of the user's own, named by a context of their kubeconfig: it is used, never created or removed.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use async_trait::async_trait;
use interface::Paths;

use super::{Cluster, Outcome, ServicePort, State};
use crate::{images::Image, live::Live};

pub struct Context {
    name: String,
}

impl Context {
    pub fn new(_paths: &Paths, name: &str) -> Result<Self> {
        Ok(Self { name: name.to_owned() })
    }
}

#[async_trait]
impl Cluster for Context {
    fn name(&self) -> &str {
        &self.name
    }
    fn kubeconfig(&self) -> PathBuf {
        PathBuf::new()
    }
    fn context(&self) -> &str {
        &self.name
    }
    fn ours(&self) -> bool {
        false
    }
    async fn up(&self, _live: &Live) -> Result<Outcome> {
        bail!("not built yet")
    }
    async fn down(&self, _live: &Live) -> Result<Outcome> {
        bail!("not built yet")
    }
    fn up_in_shell(&self) -> String {
        String::new()
    }
    async fn load_images(&self, _images: &[Image], _live: &Live) -> Result<Outcome> {
        bail!("not built yet")
    }
    fn load_balancer_range(&self) -> Option<String> {
        None
    }
    async fn reach(&self, _client: &kube::Client, _port: &ServicePort) -> Result<String> {
        bail!("not built yet")
    }
    fn state(&self) -> Result<State> {
        bail!("not built yet")
    }
    async fn diagnostics(&self, _into: &Path) -> Result<()> {
        bail!("not built yet")
    }
}
