//! One context of a kubeconfig, for a client of it.
//!
//! kube's own loader asks the environment whether to use a proxy, and does so for the proxy's own address in place of the API
//! server's; a list of exceptions with a comma at its end is an error to it (kube 5.0). So this reads what that would read, and decides
//! on the proxy as kubectl does.

use anyhow::{Context as _, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::Uri;
use kube::{
    Config,
    config::{AuthInfo, Cluster, Context, ExecAuthCluster, Kubeconfig},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::proxies;

/// How the API server of a context is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is a cluster of ours, on this machine: no proxy leads there.
    Direct,
    /// As the context says, or else the environment.
    AsConfigured,
}

/// # Errors
/// The kubeconfig lacks the context or what that names, or a part of it is no address or certificate.
pub fn of(file: &Kubeconfig, context: &str, way: Way) -> Result<Config> {
    let context = find(&file.contexts, |named| (named.name == context).then_some(named.context.as_ref()?));
    let context = context.context("it has no such context")?;
    let cluster = find(&file.clusters, |named| (named.name == context.cluster).then_some(named.cluster.as_ref()?));
    let cluster = cluster.with_context(|| format!("it has no cluster {}", context.cluster))?;
    let server: Uri =
        cluster.server.as_deref().unwrap_or_default().parse().context("failed to read the server's address")?;
    let mut config = Config::new(server.clone());
    config.default_namespace = context.namespace.clone().unwrap_or(config.default_namespace);
    config.root_cert = authority(cluster)?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or_default();
    config.disable_compression = cluster.disable_compression.unwrap_or_default();
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    config.auth_info = user(file, context, cluster)?;
    config.proxy_url = match way {
        Way::Direct => None,
        Way::AsConfigured => proxy(cluster, &server)?,
    };
    Ok(config)
}

fn find<'a, N, T>(all: &'a [N], of: impl Fn(&'a N) -> Option<&'a T>) -> Option<&'a T> {
    all.iter().find_map(of)
}

/// Whoever needs no login has no user.
fn user(file: &Kubeconfig, context: &Context, cluster: &Cluster) -> Result<AuthInfo> {
    let named = file.auth_infos.iter().find(|named| Some(&named.name) == context.user.as_ref());
    let mut user = named.and_then(|named| named.auth_info.clone()).unwrap_or_default();
    if let Some(exec) = user.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        exec.cluster = Some(ExecAuthCluster::try_from(cluster)?);
    }
    Ok(user)
}

fn authority(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>> {
    let pem = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) => {
            BASE64_STANDARD.decode(data).context("failed to read the cluster's certificate authority")?
        }
        (None, Some(file)) => std::fs::read(file).with_context(|| format!("failed to read {file}"))?,
        (None, None) => return Ok(None),
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.context("failed to read the cluster's certificate authority")?;
    Ok(Some(certificates.iter().map(|certificate| certificate.to_vec()).collect()))
}

fn proxy(cluster: &Cluster, server: &Uri) -> Result<Option<Uri>> {
    let own = cluster.proxy_url.clone().filter(|url| !url.is_empty());
    let url = own.or_else(|| proxies::before(server).map(|proxy| proxy.url));
    url.map(|url| url.parse().context("failed to read the proxy's address")).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(cluster: &str, user: &str, way: Way) -> Result<Config> {
        let text = format!(
            "{{apiVersion: v1, kind: Config, clusters: [{{name: c, cluster: {cluster}}}], users: [{{name: u, user: {user}}}], \
             contexts: [{{name: mine, context: {{cluster: c, user: u, namespace: n}}}}]}}"
        );
        of(&Kubeconfig::from_yaml(&text)?, "mine", way)
    }

    #[test]
    fn a_contexts_own_proxy_is_used_but_not_for_a_cluster_of_ours() {
        let cluster = "{server: 'https://api.example:6443', proxy-url: 'socks5://proxy:1080', tls-server-name: other}";
        let theirs = config(cluster, "{token: t}", Way::AsConfigured).unwrap();
        assert_eq!(theirs.proxy_url.unwrap().to_string(), "socks5://proxy:1080/");
        assert_eq!((theirs.default_namespace.as_str(), theirs.tls_server_name.as_deref()), ("n", Some("other")));
        assert_eq!(config(cluster, "{}", Way::Direct).unwrap().proxy_url, None);
    }

    #[test]
    fn what_kubes_own_loader_reads_is_read() {
        let ca = rcgen::generate_simple_self_signed(vec![]).unwrap().cert.pem();
        let data = BASE64_STANDARD.encode(format!("{ca}{ca}"));
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: mine, contexts: [{{name: mine, context: {{cluster: c, user: u}}}}], \
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:6443', certificate-authority-data: {data}, \
             insecure-skip-tls-verify: true, disable-compression: true}}}}], users: [{{name: u, user: {{username: me, \
             exec: {{apiVersion: client.authentication.k8s.io/v1, command: helper, provideClusterInfo: true}}}}}}]}}"
        );
        let file = Kubeconfig::from_yaml(&text).unwrap();
        let (ours, mut theirs) = (of(&file, "mine", Way::Direct).unwrap(), Config::try_from(file).unwrap());
        assert_eq!(ours.root_cert.as_ref().map(Vec::len), Some(2));
        theirs.proxy_url = None;
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    #[test]
    fn what_is_no_address_or_certificate_is_refused() {
        for wrong in ["{}", "{server: 'https://a b'}", "{server: 'https://a', certificate-authority-data: '%'}"] {
            assert!(config(wrong, "{}", Way::Direct).is_err(), "{wrong}");
        }
    }
}
