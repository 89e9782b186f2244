//! The container engine behind `--on kind`, and kind itself: what they say of themselves, and why one will not do.

use std::{fmt, path::PathBuf};

use serde_json::Value;

use crate::{
    machine::{Machine, Said},
    obstacle::Obstacle,
    pins::pins,
    version::Version,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Docker,
    Podman,
}

/// A container engine that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    pub program: Program,
    pub version: Version,
    /// The version of the cgroups that it gives to containers, 1 or 2.
    pub cgroup: u8,
    /// Whether it runs without root's rights, in a user namespace.
    pub rootless: bool,
    /// Whether its networks are this machine's: not in a virtual machine (Docker Desktop), not on another.
    pub local: bool,
    /// Where it keeps images and containers.
    pub data: PathBuf,
    /// The kernel that its containers run on, and the memory that they have: another machine's, if it is not local.
    pub kernel: String,
    pub memory: u64,
}

/// What stands at the end of every fix: no machine is left without a way.
const OR_ON_HOST: &str = "or use --on host, which needs neither";

impl Program {
    /// What it is called on a command line, and in kind's KIND_EXPERIMENTAL_PROVIDER.
    pub fn command(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker",
            Self::Podman => "Podman",
        })
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program, self.version)
    }
}

impl Engine {
    /// The engine that kind is to use: the one that `KIND_EXPERIMENTAL_PROVIDER` names, else Docker, else Podman.
    ///
    /// # Errors
    /// There is none, or the one there does not answer.
    pub fn find(machine: &dyn Machine) -> Result<Self, Obstacle> {
        let wish = machine.variable("KIND_EXPERIMENTAL_PROVIDER").unwrap_or_default();
        let wished = |program: &Program| wish.is_empty() || wish == program.command();
        let mut silent = None;
        for program in [Program::Docker, Program::Podman].into_iter().filter(wished) {
            let Some(said) = machine.run(program.command(), &["info", "--format", "{{json .}}"]) else { continue };
            match Self::read(program, &said.stdout, &machine.hostname()) {
                Some(engine) => return Ok(engine),
                None => silent = silent.or(Some(does_not_answer(program, &said))),
            }
        }
        Err(silent.unwrap_or_else(|| {
            Obstacle::new(
                "neither Docker nor Podman is on PATH",
                format!("install Docker (https://docs.docker.com/engine/install), {OR_ON_HOST}"),
            )
        }))
    }

    /// Reads what `info` prints; nothing if no engine stands behind it.
    fn read(program: Program, info: &str, hostname: &str) -> Option<Self> {
        let info: Value = serde_json::from_str(info).ok()?;
        // On Fedora and others, `docker` may be Podman under another name.
        if program == Program::Podman || info.get("host").is_some() {
            return Self::of_podman(&info, hostname);
        }
        let text = |key: &str| info[key].as_str().unwrap_or_default();
        let rootless = info["SecurityOptions"].as_array().into_iter().flatten();
        Some(Self {
            program: Program::Docker,
            version: text("ServerVersion").parse().ok()?,
            cgroup: if text("CgroupVersion") == "2" { 2 } else { 1 },
            rootless: rootless.filter_map(Value::as_str).any(|option| option.starts_with("name=rootless")),
            local: text("Name") == hostname,
            data: text("DockerRootDir").into(),
            kernel: text("KernelVersion").to_owned(),
            memory: info["MemTotal"].as_u64().unwrap_or_default(),
        })
    }

    fn of_podman(info: &Value, hostname: &str) -> Option<Self> {
        let host = &info["host"];
        Some(Self {
            program: Program::Podman,
            version: info["version"]["Version"].as_str()?.parse().ok()?,
            cgroup: if host["cgroupVersion"] == "v2" { 2 } else { 1 },
            rootless: host["security"]["rootless"] == true,
            local: host["hostname"] == hostname,
            data: info["store"]["graphRoot"].as_str().unwrap_or_default().into(),
            kernel: host["kernel"].as_str().unwrap_or_default().to_owned(),
            memory: host["memTotal"].as_u64().unwrap_or_default(),
        })
    }

    /// Why no cluster of ours can run on this engine, if so.
    pub fn obstacle(&self) -> Option<Obstacle> {
        let least = self.least();
        if self.rootless {
            return Some(Obstacle::new(
                format!("{self} runs rootless: in a user namespace the kernel lets nobody load a probe"),
                format!("use the engine that runs as root (Docker: `docker context use default`), {OR_ON_HOST}"),
            ));
        }
        (self.version < least).then(|| {
            Obstacle::new(
                format!("{self} is too old for kind: {least} is the oldest that will do"),
                format!("install a newer one (https://docs.docker.com/engine/install), {OR_ON_HOST}"),
            )
        })
    }

    fn least(&self) -> Version {
        let tools = pins().ok().map(|pins| pins.tools);
        let tool = tools.map(|tools| match self.program {
            Program::Docker => tools.docker,
            Program::Podman => tools.podman,
        });
        tool.and_then(|tool| tool.least.parse().ok()).unwrap_or(Version { major: 0, minor: 0, patch: 0 })
    }

    /// Whether it is known not to pass CAP_BPF and CAP_PERFMON on to privileged containers, and so to pods: the list of
    /// capabilities that Docker before 23 has ends before them.
    pub fn withholds_bpf(&self) -> Option<Obstacle> {
        let first = Version { major: 23, minor: 0, patch: 0 };
        (self.program == Program::Docker && self.version < first).then(|| withheld_bpf(&self.to_string()))
    }
}

/// That an engine gives its privileged containers no CAP_BPF and no CAP_PERFMON.
pub fn withheld_bpf(engine: &str) -> Obstacle {
    Obstacle::new(
        format!("{engine} gives containers no CAP_BPF and no CAP_PERFMON: the probe of lab 5 could not load"),
        format!("install Docker 23 or newer (https://docs.docker.com/engine/install), {OR_ON_HOST}"),
    )
}

/// What gives Services addresses where the nodes' network is out of reach.
pub const CLOUD_PROVIDER: &str = "cloud-provider-kind";

/// That the nodes' network is out of reach (Docker Desktop, as on macOS and WSL2), and nothing makes up for it.
pub fn out_of_reach() -> Obstacle {
    Obstacle::new(
        format!("the containers of this engine are out of this machine's reach, and {CLOUD_PROVIDER} is not on PATH"),
        format!("install it (`go install sigs.k8s.io/{CLOUD_PROVIDER}@latest`), {OR_ON_HOST}"),
    )
}

fn does_not_answer(program: Program, said: &Said) -> Obstacle {
    let why = said.stderr.trim().lines().next_back().unwrap_or("it says nothing").to_owned();
    let fix = if why.contains("permission denied") {
        "add yourself to its group (`sudo usermod --append --groups docker $USER`) and log in again"
    } else {
        "start it: `sudo systemctl start docker`, or open Docker Desktop"
    };
    Obstacle::new(format!("{program} does not answer: {why}"), format!("{fix}; {OR_ON_HOST}"))
}

/// The version of kind.
///
/// # Errors
/// There is none, or one that is too old.
pub fn kind(machine: &dyn Machine) -> Result<Version, Obstacle> {
    let tool = pins().map(|pins| pins.tools.kind);
    let (least, newest) = tool.map(|kind| (kind.least, kind.version)).unwrap_or_default();
    let get = format!("--install brings it where Go is, or https://kind.sigs.k8s.io, {OR_ON_HOST}");
    let Some(said) = machine.run("kind", &["version"]) else {
        return Err(Obstacle::new(format!("kind is not on PATH ({least} or newer)"), get));
    };
    let version = said.stdout.split_whitespace().find_map(|word| word.strip_prefix('v')?.parse::<Version>().ok());
    let Some(version) = version else {
        return Err(Obstacle::new(format!("`kind version` does not say one: {}", said.stdout.trim()), get));
    };
    if least.parse::<Version>().is_ok_and(|least| version < least) {
        let what = format!("kind {version} is too old: {least} is the oldest that will do");
        return Err(Obstacle::new(what, format!("install kind {newest} (https://kind.sigs.k8s.io), {OR_ON_HOST}")));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::recorded::Programs;

    /// Docker 20.10 on Debian 12, shortened.
    const DOCKER: &str = r#"{"CgroupVersion":"1","Name":"elsewhere","ServerVersion":"20.10.24+dfsg1",
        "DockerRootDir":"/var/lib/docker","SecurityOptions":["name=seccomp,profile=default"]}"#;
    const PODMAN: &str = r#"{"host":{"cgroupVersion":"v2","hostname":"elsewhere","security":{"rootless":true}},
        "store":{"graphRoot":"/home/me/.local/share/containers/storage"},"version":{"Version":"5.4.2"}}"#;
    /// What the client prints when nobody listens.
    const NOBODY: &str = r#"{"ID":"","ServerVersion":"","SecurityOptions":null,"CgroupVersion":""}"#;

    fn said(stdout: &str, stderr: &str) -> Option<Said> {
        Some(Said { ok: stderr.is_empty(), stdout: stdout.to_owned(), stderr: stderr.to_owned() })
    }

    fn engine(version: &str) -> Engine {
        Engine { version: version.parse().unwrap(), ..read(DOCKER) }
    }

    fn read(info: &str) -> Engine {
        Engine::read(Program::Docker, info, "here").unwrap()
    }

    #[test]
    fn docker_comes_before_podman_and_podman_before_nothing() {
        let both = |program: &str, _: &[&str]| said(if program == "docker" { DOCKER } else { PODMAN }, "");
        assert_eq!(Engine::find(&Programs(both)).unwrap().program, Program::Docker);
        let down =
            |program: &str, _: &[&str]| if program == "docker" { said(NOBODY, "down") } else { said(PODMAN, "") };
        assert_eq!(Engine::find(&Programs(down)).unwrap().program, Program::Podman);
        assert!(
            Engine::find(&Programs(|_: &str, _: &[&str]| None)).unwrap_err().what.contains("neither Docker nor Podman")
        );
    }

    #[test]
    fn an_engine_that_does_not_answer_is_told_from_one_that_does_not_let_us() {
        let down = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
        let find = |stderr: &'static str| {
            let docker = move |program: &str, _: &[&str]| (program == "docker").then(|| said(NOBODY, stderr)).flatten();
            Engine::find(&Programs(docker)).unwrap_err()
        };
        assert_eq!(find(down).what, format!("Docker does not answer: {down}"));
        assert!(find(down).fix.contains("systemctl start docker"));
        assert!(find("permission denied while trying to connect").fix.contains("usermod"));
        assert!(find(down).fix.contains("--on host"));
    }

    #[test]
    fn podman_under_dockers_name_is_podman() {
        assert_eq!(read(PODMAN).program, Program::Podman);
    }

    #[test]
    fn rootless_and_too_old_engines_are_refused_with_the_reason() {
        let rootless = read(PODMAN).obstacle().unwrap();
        assert!(rootless.what.contains("rootless") && rootless.what.contains("user namespace"), "{rootless:?}");
        assert!(engine("19.3.8").obstacle().unwrap().what.contains("20.10.0 is the oldest"));
        assert_eq!(engine("20.10.24").obstacle(), None);
    }

    #[test]
    fn docker_20_withholds_cap_bpf_and_docker_23_does_not() {
        assert!(engine("20.10.24").withholds_bpf().unwrap().fix.contains("Docker 23"));
        assert_eq!(engine("23.0.0").withholds_bpf(), None);
    }

    #[test]
    fn an_engine_with_another_host_name_has_networks_of_its_own() {
        assert!(!engine("28.2.2").local);
        assert!(read(&DOCKER.replace("elsewhere", "here")).local);
    }

    #[test]
    fn kind_is_found_and_its_age_seen() {
        let kind = |words: &'static str| super::kind(&Programs(move |_: &str, _: &[&str]| said(words, "")));
        assert_eq!(kind("kind v0.99.1 go1.26.8 linux/amd64").unwrap().to_string(), "0.99.1");
        assert!(kind("kind v0.20.0 go1.20.4 linux/amd64").unwrap_err().what.contains("is the oldest that will do"));
        assert!(super::kind(&Programs(|_: &str, _: &[&str]| None)).unwrap_err().what.contains("not on PATH"));
    }
}
