//! A server of tokens, such as large registries have: it alone sees the password, the registry sees what it signed
//! (<https://distribution.github.io/distribution/spec/auth/token/>). Whoever comes may pull, who has the login may push.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use rcgen::{CertificateParams, KeyPair, SigningKey};
use serde_json::{Value, json};
use tempfile::TempDir;

const ISSUER: &str = "tokens of the tests";
const SERVICE: &str = "a registry of the tests";

/// It serves until the tests' process ends.
pub struct Tokens {
    address: SocketAddr,
    folder: TempDir,
    /// How often it was shown a name and a password.
    logins: Arc<AtomicUsize>,
}

impl Tokens {
    /// One that knows this name and password.
    pub fn start(name: &str, password: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tokens.pem"), certificate.pem()).unwrap();
        let signer = Signer { key, certificate: BASE64_STANDARD.encode(certificate.der()) };
        let login = format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let logins = Arc::<AtomicUsize>::default();
        let seen = Arc::clone(&logins);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                seen.fetch_add(usize::from(answer(stream, &login, &signer)), Ordering::Relaxed);
            }
        });
        Self { address, folder, logins }
    }

    /// How often it was shown a login, right or wrong.
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }

    /// What the registry's configuration says of it.
    pub fn config(&self) -> Value {
        let certificate: PathBuf = self.folder.path().join("tokens.pem");
        let realm = format!("http://{}/token", self.address);
        json!({ "realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": certificate })
    }
}

/// Answers whether it was shown a login.
fn answer(mut stream: TcpStream, login: &str, signer: &Signer) -> bool {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let headers: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let shown = headers.iter().find_map(|line| line.to_lowercase().starts_with("authorization: ").then(|| &line[15..]));
    let is_login = shown.is_some();
    let (status, body) = match shown {
        Some(shown) if shown != login => ("401 Unauthorized", json!({ "errors": [{ "code": "UNAUTHORIZED" }] })),
        shown => ("200 OK", json!({ "token": signer.token(&granted(&request, shown.is_some())) })),
    };
    let (body, kind) = (body.to_string(), "Content-Type: application/json\r\nConnection: close");
    // Who has gone needs no answer.
    let _ = write!(stream, "HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    is_login
}

/// Of `scope=repository:NAME:pull,push` what this caller gets.
fn granted(request: &str, may_push: bool) -> Value {
    let query = request.split(' ').nth(1).and_then(|path| path.split_once('?')).map_or("", |(_, query)| query);
    let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope=")).unwrap_or_default();
    let scope = scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
    let [_, name, _] = scope.splitn(3, ':').collect::<Vec<_>>()[..] else { return json!([]) };
    let actions = if may_push { json!(["pull", "push"]) } else { json!(["pull"]) };
    json!([{ "type": "repository", "name": name, "actions": actions }])
}

struct Signer {
    key: KeyPair,
    certificate: String,
}

impl Signer {
    /// A JSON web token with its certificate.
    fn token(&self, access: &Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let hour = Duration::from_secs(3600);
        let claims = json!({
            "iss": ISSUER, "sub": "somebody", "aud": SERVICE, "jti": "1", "access": access,
            "iat": now.as_secs(), "nbf": (now - hour).as_secs(), "exp": (now + hour).as_secs(),
        });
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [self.certificate] });
        let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = plain(&self.key.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// An ECDSA signature's two numbers of 32 bytes; in ASN.1 each is as long as it needs.
fn plain(asn1: &[u8]) -> Vec<u8> {
    let first = usize::from(asn1[3]);
    let numbers = [&asn1[4..4 + first], &asn1[6 + first..]];
    numbers.iter().flat_map(|number| [&[0; 32], *number].concat()[number.len()..].to_vec()).collect()
}
