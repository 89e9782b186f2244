//! The graph as it is now: asks Prometheus at intervals, joins the answer with the cluster, publishes what changed.
//!
//! When Prometheus fails, the last graph stays and says that it is stale, and why.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::cluster::Cluster;
use crate::edges::{EdgesError, Pair, Prometheus};
use crate::graph::Graph;
use crate::hosts::HostName;
use crate::identity::Directory;
use crate::memory::Memory;

/// How often changes are looked at: a pod that lives for two seconds is still seen, a burst of events is one change.
const SETTLE: Duration = Duration::from_millis(500);

/// How many of the unresolved addresses are named.
const UNRESOLVED_SHOWN: usize = 20;

/// What the API tells: the graph, and how far it can be trusted.
#[derive(Clone, Debug, Serialize)]
pub struct Published {
    #[serde(flatten)]
    pub graph: Graph,
    pub source: Source,
    /// The names that load balancers gave to the cluster's Services: kebpf may be asked by one of them.
    #[serde(skip)]
    pub hosts: BTreeSet<HostName>,
    /// What kebpf still has to hear of Kubernetes before any graph of its can be right.
    #[serde(skip)]
    pub not_ready: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Source {
    /// When Prometheus last answered.
    pub updated: Option<Timestamp>,
    /// Why the graph is not of now; nothing while it is.
    pub stale: Option<String>,
    /// How many address pairs Prometheus knows.
    pub pairs: usize,
    /// Addresses of the cluster that nobody holds: their connections are in no edge.
    pub unresolved: usize,
    /// The first of them.
    pub unresolved_addresses: Vec<String>,
}

/// The outcome of the last query, beside the last good one.
#[derive(Clone, Default)]
struct Answer {
    pairs: Arc<Vec<Pair>>,
    updated: Option<Timestamp>,
    trouble: Option<String>,
}

pub struct Settings {
    /// Between two queries.
    pub interval: Duration,
    /// The cluster's address ranges, where they can't be learned.
    pub ranges: Vec<IpNet>,
}

impl Published {
    pub fn nothing_yet() -> Self {
        Self {
            graph: Graph::default(),
            source: Source::default(),
            hosts: BTreeSet::new(),
            not_ready: Some("the first lists of Kubernetes' objects have not arrived".to_owned()),
        }
    }

    /// The time of the last answer alone is no news.
    fn is_news(&self, before: &Self) -> bool {
        let timeless = |source: &Source| Source { updated: None, ..source.clone() };
        self.graph != before.graph
            || self.not_ready != before.not_ready
            || timeless(&self.source) != timeless(&before.source)
    }
}

/// Runs until dropped.
pub async fn run(prometheus: Prometheus, cluster: Cluster, settings: Settings, publish: watch::Sender<Arc<Published>>) {
    let (sender, answers) = watch::channel(Answer::default());
    tokio::join!(ask(prometheus, settings.interval, sender), join(cluster, settings.ranges, answers, publish));
}

async fn ask(prometheus: Prometheus, pause: Duration, answers: watch::Sender<Answer>) {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = prometheus.pairs().await;
        answers.send_modify(|last| last.take_over(answer));
    }
}

impl Answer {
    fn take_over(&mut self, answer: Result<Vec<Pair>, EdgesError>) {
        let trouble = match answer {
            Ok(pairs) => {
                self.pairs = Arc::new(pairs);
                self.updated = Some(Timestamp::now());
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if trouble != self.trouble {
            match &trouble {
                Some(why) => eprintln!("kebpf: {why}; keeping the last graph"),
                None => eprintln!("kebpf: Prometheus answers again"),
            }
        }
        self.trouble = trouble;
    }
}

async fn join(
    cluster: Cluster,
    ranges: Vec<IpNet>,
    mut answers: watch::Receiver<Answer>,
    publish: watch::Sender<Arc<Published>>,
) {
    let mut memory = Memory::default();
    let mut directory = Directory::default();
    let mut ticks = interval(SETTLE);
    loop {
        ticks.tick().await;
        let cluster_changed = cluster.take_changed();
        if !cluster_changed && !answers.has_changed().unwrap_or(false) {
            continue;
        }
        let missing = cluster.missing();
        if missing.is_empty() && cluster_changed {
            directory = Directory::new(&cluster.objects(), &ranges);
            memory.complete(&mut directory, Instant::now());
        }
        let answer = answers.borrow_and_update().clone();
        let now = Arc::new(draw(&answer, &directory, &missing, cluster.trouble()));
        publish.send_if_modified(|last| {
            let is_news = now.is_news(last);
            *last = now;
            is_news
        });
    }
}

/// Without all identities, every pod would look like an outside address: no graph, then.
fn draw(answer: &Answer, directory: &Directory, missing: &[&str], trouble: Option<String>) -> Published {
    let not_ready = (!missing.is_empty()).then(|| {
        let waiting = format!("the first lists of {} have not arrived", missing.join(", "));
        trouble.as_ref().map_or(waiting.clone(), |why| format!("{waiting}: {why}"))
    });
    let graph = match not_ready {
        Some(_) => Graph::default(),
        None => Graph::new(&answer.pairs, directory),
    };
    let unanswered = answer.updated.is_none().then(|| "Prometheus has not answered yet".to_owned());
    let source = Source {
        updated: answer.updated,
        stale: not_ready.clone().or_else(|| answer.trouble.clone()).or(trouble).or(unanswered),
        pairs: answer.pairs.len(),
        unresolved: graph.unresolved.len(),
        unresolved_addresses: graph.unresolved.iter().take(UNRESOLVED_SHOWN).map(ToString::to_string).collect(),
    };
    Published { graph, source, hosts: directory.hosts.clone(), not_ready }
}
