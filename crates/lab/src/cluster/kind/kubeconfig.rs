//! The cluster's kubeconfig: the one that kind writes, with its context under the workshop's name.

use anyhow::{Context, Result};
use kube::config::Kubeconfig;

/// The context's name on every cluster of ours.
pub const CONTEXT: &str = "ebpf";

/// kind calls context, cluster and user `kind-NAME`; here they are all `ebpf`, as on the other clusters.
pub fn renamed(kinds: &str) -> Result<String> {
    let mut config = Kubeconfig::from_yaml(kinds).context("failed to read the kubeconfig that kind wrote")?;
    let context = config.contexts.first_mut().context("the kubeconfig that kind wrote has no context")?;
    CONTEXT.clone_into(&mut context.name);
    if let Some(context) = &mut context.context {
        CONTEXT.clone_into(&mut context.cluster);
        context.user = Some(CONTEXT.to_owned());
    }
    config.clusters.iter_mut().for_each(|cluster| CONTEXT.clone_into(&mut cluster.name));
    config.auth_infos.iter_mut().for_each(|user| CONTEXT.clone_into(&mut user.name));
    config.current_context = Some(CONTEXT.to_owned());
    serde_json::to_string_pretty(&config).context("failed to write the kubeconfig")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_has_the_workshops_name_and_the_keys_are_kept() {
        let kinds = "apiVersion: v1\nkind: Config\ncurrent-context: kind-ebpf\npreferences: {}\n\
                     clusters: [{name: kind-ebpf, cluster: {server: 'https://127.0.0.1:40991', certificate-authority-data: Q0E=}}]\n\
                     users: [{name: kind-ebpf, user: {client-certificate-data: Q1JU, client-key-data: S0VZ}}]\n\
                     contexts: [{name: kind-ebpf, context: {cluster: kind-ebpf, user: kind-ebpf}}]\n";
        let text = renamed(kinds).unwrap();
        assert!(!text.contains("kind-ebpf"), "{text}");
        let config = Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("ebpf"));
        assert_eq!(config.contexts[0].context.as_ref().unwrap().user.as_deref(), Some("ebpf"));
        let written: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written["users"][0]["user"]["client-key-data"], "S0VZ", "keys are not redacted");
        assert_eq!(written["clusters"][0]["cluster"]["server"], "https://127.0.0.1:40991");
    }

    #[test]
    fn a_kubeconfig_without_a_context_is_refused() {
        assert!(renamed("{apiVersion: v1, kind: Config}").is_err());
    }
}
