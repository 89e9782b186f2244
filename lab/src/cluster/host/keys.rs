//! The cluster's keys and certificates: an authority for Kubernetes, another for etcd, one certificate for each party.
//!
//! All are made at once and appear by one rename, so the authorities' keys are never needed again by us; the controller
//! manager keeps Kubernetes' own to sign what nodes ask for.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::Ipv4Addr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::json;

use super::addresses::{Addresses, NODES};

/// A client of the API server: the name of its kubeconfig, its user and its group.
const CLIENTS: [(&str, &str, Option<&str>); 4] = [
    ("admin", "admin", Some("system:masters")),
    ("controller-manager", "system:kube-controller-manager", None),
    ("scheduler", "system:kube-scheduler", None),
    ("proxy", "system:kube-proxy", None),
];

/// Makes all keys into `folder` unless they are there.
pub fn create(folder: &Path, addresses: Addresses) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let partial = folder.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::DirBuilder::new().mode(0o700).create(&partial)?;
    write_all(&partial, addresses)?;
    fs::rename(&partial, folder).context("put the cluster's keys in place")
}

fn write_all(folder: &Path, addresses: Addresses) -> Result<()> {
    let ca = Authority::new("ebpf-lab")?;
    ca.write(folder, "ca")?;
    let control_plane = addresses.node(0);
    let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
    ca.server("kube-apiserver", &names, &[control_plane, addresses.kubernetes()])?.write(folder, "apiserver")?;
    ca.client("kube-apiserver-kubelet-client", Some("system:masters"))?.write(folder, "apiserver-kubelet-client")?;
    for (file, user, group) in CLIENTS {
        ca.client(user, group)?.write_kubeconfig(folder, file, user, addresses, &ca)?;
    }
    for (index, node) in NODES.into_iter().enumerate() {
        ca.server(node, &[node], &[addresses.node(index)])?.write(folder, &format!("kubelet-{node}"))?;
        let user = format!("system:node:{node}");
        ca.client(&user, Some("system:nodes"))?.write_kubeconfig(folder, node, &user, addresses, &ca)?;
    }

    let etcd = Authority::new("ebpf-lab-etcd")?;
    etcd.write(folder, "etcd-ca")?;
    etcd.server("etcd", &["localhost"], &[Ipv4Addr::LOCALHOST])?.write(folder, "etcd")?;
    etcd.client("kube-apiserver", None)?.write(folder, "apiserver-etcd-client")?;

    let service_accounts = KeyPair::generate()?;
    write_secret(&folder.join("sa.key"), &service_accounts.serialize_pem())?;
    write_secret(&folder.join("sa.pub"), &service_accounts.public_key_pem())
}

/// A certificate authority.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Result<Self> {
        let mut params = parameters(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    fn server(&self, name: &str, names: &[&str], addresses: &[Ipv4Addr]) -> Result<Pair> {
        let mut params = parameters(name, None);
        // etcd calls itself through its own server certificate.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        for name in names {
            params.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
        }
        params.subject_alt_names.extend(addresses.iter().map(|&address| SanType::IpAddress(address.into())));
        self.sign(&params)
    }

    fn client(&self, user: &str, group: Option<&str>) -> Result<Pair> {
        let mut params = parameters(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair { certificate, key: key.serialize_pem() })
    }

    fn write(&self, folder: &Path, name: &str) -> Result<()> {
        write_secret(&folder.join(format!("{name}.crt")), &self.issuer.pem())?;
        write_secret(&folder.join(format!("{name}.key")), &self.issuer.key().serialize_pem())
    }
}

/// A certificate and its key.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn write(&self, folder: &Path, name: &str) -> Result<()> {
        write_secret(&folder.join(format!("{name}.crt")), &self.certificate)?;
        write_secret(&folder.join(format!("{name}.key")), &self.key)
    }

    fn write_kubeconfig(
        &self,
        folder: &Path,
        file: &str,
        user: &str,
        addresses: Addresses,
        ca: &Authority,
    ) -> Result<()> {
        let encode = |pem: &str| STANDARD.encode(pem);
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "ebpf",
            "clusters": [{
                "name": "ebpf",
                "cluster": { "server": addresses.api(), "certificate-authority-data": encode(&ca.issuer.pem()) },
            }],
            "users": [{
                "name": user,
                "user": { "client-certificate-data": encode(&self.certificate), "client-key-data": encode(&self.key) },
            }],
            "contexts": [{ "name": "ebpf", "context": { "cluster": "ebpf", "user": user } }],
        });
        write_secret(&folder.join(format!("{file}.kubeconfig")), &serde_json::to_string_pretty(&config)?)
    }
}

fn parameters(common_name: &str, organization: Option<&str>) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    // A wide fixed span: a laptop's clock that is off must not break the workshop.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2045, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| format!("write {}", path.display()))
}
