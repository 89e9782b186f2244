//! What a command needs before `lab` can run it: tools, programs, root.

use lab_cli::{Cli, ClusterChoice, Command, Profile, cli::ImagesAction};

use crate::{build, requirements::Need};

/// What must be there before `lab` can do a command.
pub struct Needs {
    pub tools: Vec<Need>,
    pub binaries: &'static [&'static str],
    pub programs: bool,
    /// `lab` itself joins the build of the programs when it comes to lab 2.
    pub programs_later: bool,
    /// `lab` must be root.
    pub root: bool,
    /// bee, which `lab` runs as the user, must become root.
    pub probes: bool,
}

impl Needs {
    pub fn new(cli: &Cli) -> Self {
        use Need::{Go, Probes, Web};
        let light = Self {
            tools: vec![],
            binaries: &["lab"],
            programs: false,
            programs_later: false,
            root: false,
            probes: false,
        };
        if cli.options.explain {
            return light;
        }
        // Nodes on this machine are ours to start; elsewhere Docker, or whoever runs the cluster, has the rights that it takes.
        let here = cli.options.cluster() == ClusterChoice::Host;
        let cluster = match cli.options.cluster() {
            ClusterChoice::Host => Some(Need::Network),
            ClusterChoice::Kind => Some(Need::Kind),
            ClusterChoice::Context(_) => None,
        };
        let students = Self { tools: vec![Probes], binaries: &build::STUDENTS, root: here, ..light };
        let full = Self {
            tools: [Probes, Web, Go].into_iter().chain(cluster).collect(),
            binaries: &build::ALL,
            programs: true,
            ..students
        };
        let mut needs = match &cli.command {
            Command::Lab { labs, .. } if labs.last == 1 => {
                Self { tools: vec![Probes, Go], programs: true, programs_later: true, probes: !here, ..students }
            }
            Command::Lab { labs, .. } => {
                Self { programs_later: labs.first == 1, probes: !here && labs.first == 1, ..full }
            }
            Command::Check { labs, .. } => Self { probes: !here && labs.first == 1, ..students },
            Command::Images { action: Some(ImagesAction::Load) } => full,
            // What `docker login` keeps is the user's own, with helpers that ask the user's own session.
            Command::Images { .. } => Self { tools: vec![Probes, Web, Go], root: false, ..full },
            Command::Shell => Self { programs: true, ..students },
            Command::Kubectl { .. } => Self { tools: vec![Go], binaries: &["lab"], programs: true, ..students },
            _ => Self { tools: vec![], binaries: &["lab"], ..students },
        };
        if runs_helm(cli) {
            needs.tools.push(Need::Helm);
        }
        needs
    }
}

/// Whether `lab` will start helm, so that it had better be there before anything else begins.
fn runs_helm(cli: &Cli) -> bool {
    let installs = match &cli.command {
        Command::Lab { labs, .. } => labs.contains(3),
        Command::Reset { lab } => *lab == 3,
        // A cluster of ours goes as a whole.
        Command::Clean => matches!(cli.options.cluster(), ClusterChoice::Context(_)),
        _ => false,
    };
    installs && cli.options.profile() == Profile::Upstream
}
