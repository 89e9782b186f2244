//! The cluster's keys and certificates: an authority for Kubernetes, another for etcd, one certificate for each party.
//!
//! All are made at once and appear by one rename. The key of Kubernetes' authority stays: the controller manager signs by it what nodes
//! ask for, and we the administrator's next certificate.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::Ipv4Addr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{ToSpan, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
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
    fs::rename(&partial, folder).context("failed to put the cluster's keys in place")
}

/// The administrator's certificate is the one that leaves root's folders; the others lie beside the keys that sign them.
const RENEWED_AFTER: Duration = Duration::from_secs(270 * 24 * 3600);

/// Whether the administrator's certificate, which is valid for a year, should be made anew.
pub fn are_due(folder: &Path) -> bool {
    let made = fs::metadata(admin(folder)).and_then(|meta| meta.modified());
    // A clock that was put back makes nothing old.
    made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > RENEWED_AFTER))
}

/// Makes it anew if it is time.
pub fn renew(folder: &Path, addresses: Addresses) -> Result<()> {
    if !are_due(folder) {
        return Ok(());
    }
    let ca = Authority::read(folder, "ca")?;
    let (file, user, group) = CLIENTS[0];
    let partial = folder.join("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::DirBuilder::new().mode(0o700).create(&partial)?;
    ca.client(user, group, one_year()?)?.write_kubeconfig(&partial, file, user, addresses, &ca)?;
    fs::rename(admin(&partial), admin(folder)).context("failed to put the administrator's new key in place")?;
    fs::remove_dir(partial).context("failed to remove an empty folder")
}

fn admin(folder: &Path) -> PathBuf {
    folder.join("admin.kubeconfig")
}

fn write_all(folder: &Path, addresses: Addresses) -> Result<()> {
    let ca = Authority::new("ebpf-lab")?;
    ca.write(folder, "ca")?;
    let control_plane = addresses.node(0);
    let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
    ca.server("kube-apiserver", &names, &[control_plane, addresses.kubernetes()])?.write(folder, "apiserver")?;
    ca.client("kube-apiserver-kubelet-client", Some("system:masters"), ALWAYS)?
        .write(folder, "apiserver-kubelet-client")?;
    for (file, user, group) in CLIENTS {
        let end = if file == CLIENTS[0].0 { one_year()? } else { ALWAYS };
        ca.client(user, group, end)?.write_kubeconfig(folder, file, user, addresses, &ca)?;
    }
    for (index, node) in NODES.into_iter().enumerate() {
        ca.server(node, &[node], &[addresses.node(index)])?.write(folder, &format!("kubelet-{node}"))?;
        let user = format!("system:node:{node}");
        ca.client(&user, Some("system:nodes"), ALWAYS)?.write_kubeconfig(folder, node, &user, addresses, &ca)?;
    }

    let etcd = Authority::new("ebpf-lab-etcd")?;
    etcd.write(folder, "etcd-ca")?;
    etcd.server("etcd", &["localhost"], &[Ipv4Addr::LOCALHOST])?.write(folder, "etcd")?;
    etcd.client("kube-apiserver", None, ALWAYS)?.write(folder, "apiserver-etcd-client")?;

    let service_accounts = KeyPair::generate()?;
    write_secret(&folder.join("sa.key"), &service_accounts.serialize_pem())?;
    write_secret(&folder.join("sa.pub"), &service_accounts.public_key_pem())
}

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Result<Self> {
        let mut params = parameters(name, None, ALWAYS);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Self::of(pem, key)
    }

    fn read(folder: &Path, name: &str) -> Result<Self> {
        let text = |ending| {
            let file = folder.join(format!("{name}.{ending}"));
            fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))
        };
        Self::of(text("crt")?, KeyPair::from_pem(&text("key")?)?)
    }

    fn of(pem: String, key: KeyPair) -> Result<Self> {
        Ok(Self { issuer: Issuer::from_ca_cert_pem(&pem, key)?, pem })
    }

    fn server(&self, name: &str, names: &[&str], addresses: &[Ipv4Addr]) -> Result<Pair> {
        let mut params = parameters(name, None, ALWAYS);
        // etcd calls itself through its own server certificate.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        for name in names {
            params.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
        }
        params.subject_alt_names.extend(addresses.iter().map(|&address| SanType::IpAddress(address.into())));
        self.sign(&params)
    }

    fn client(&self, user: &str, group: Option<&str>, end: Day) -> Result<Pair> {
        let mut params = parameters(user, group, end);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair { certificate, key: key.serialize_pem() })
    }

    fn write(&self, folder: &Path, name: &str) -> Result<()> {
        write_secret(&folder.join(format!("{name}.crt")), &self.pem)?;
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
                "cluster": { "server": addresses.api(), "certificate-authority-data": encode(&ca.pem) },
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

/// Year, month and day.
type Day = (i32, u8, u8);

/// A wide fixed span: a laptop's clock that is off must not break the workshop.
const ALWAYS: Day = (2045, 1, 1);

fn one_year() -> Result<Day> {
    let day = Zoned::now().date().checked_add(366.days())?;
    Ok((day.year().into(), day.month().try_into()?, day.day().try_into()?))
}

fn parameters(common_name: &str, organization: Option<&str>, end: Day) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(end.0, end.1, end.2);
    params.use_authority_key_identifier_extension = true;
    params
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use x509_parser::{certificate::X509Certificate, pem::Pem, prelude::FromDer};

    use super::*;

    /// When a certificate ends, in days from now, and the key by which it was signed.
    fn end_and_signer(pem: &[u8]) -> (i64, Vec<u8>) {
        let der = Pem::iter_from_buffer(pem).next().unwrap().unwrap().contents;
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let seconds = certificate.validity().not_after.timestamp() - jiff::Timestamp::now().as_second();
        let signer = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(id) => {
                Some(id.key_identifier.as_ref()?.0.to_vec())
            }
            _ => None,
        });
        (seconds / (24 * 3600), signer.unwrap_or_default())
    }

    fn admins(folder: &Path) -> (i64, Vec<u8>) {
        let config: serde_json::Value = serde_json::from_str(&fs::read_to_string(admin(folder)).unwrap()).unwrap();
        let data = config["users"][0]["user"]["client-certificate-data"].as_str().unwrap();
        end_and_signer(&STANDARD.decode(data).unwrap())
    }

    #[test]
    fn the_administrators_certificate_lasts_a_year_and_is_renewed_by_the_same_authority() {
        let (world, addresses) = (tempfile::tempdir().unwrap(), Addresses::first(1));
        let folder = world.path().join("pki");
        create(&folder, addresses).unwrap();
        let (end, signer) = admins(&folder);
        assert!((364..=367).contains(&end) && !signer.is_empty(), "{end} days");
        assert!(end_and_signer(&fs::read(folder.join("ca.crt")).unwrap()).0 > 3000);
        renew(&folder, addresses).unwrap();
        let before = fs::read(admin(&folder)).unwrap();

        let old = SystemTime::now() - Duration::from_secs(300 * 24 * 3600);
        fs::File::open(admin(&folder)).unwrap().set_modified(old).unwrap();
        assert!(are_due(&folder));
        renew(&folder, addresses).unwrap();
        assert!(!are_due(&folder) && fs::read(admin(&folder)).unwrap() != before);
        assert_eq!(admins(&folder), (end, signer));
        assert_eq!(fs::read_dir(&folder).unwrap().flatten().filter(|entry| entry.path().is_dir()).count(), 0);
    }
}
