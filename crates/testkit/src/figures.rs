//! What the labs cost on a cluster and what they show, to set clusters side by side.

use serde_json::Value;

use crate::{
    Run, TestCluster,
    scenes::labs::{bookinfo_edges, http_get},
};

/// Measured on one cluster.
#[derive(Debug)]
pub struct Figures {
    /// Seconds of each of the labs 2 to 6, its checks included.
    pub seconds: [f64; 5],
    pub memory: u64,
    /// Bookinfo's edges in the graph.
    pub edges: Vec<(String, String)>,
}

impl Figures {
    /// Of a run of labs 2 to 6 (or all) that has just ended on a cluster that was not there before.
    pub fn of(cluster: &TestCluster, run: &Run) -> Self {
        let records = run.records();
        let of_lab = |lab: usize| records.iter().filter(move |record| record["lab"] == lab);
        let seconds = |lab| of_lab(lab).map(|record| record["seconds"].as_f64().unwrap_or_default()).sum();
        let address = cluster.lab(&["open"]).succeeds().stdout;
        let graph: Value = serde_json::from_str(&http_get(&format!("{}/api/graph", address.trim()))).unwrap();
        Self { seconds: [2, 3, 4, 5, 6].map(seconds), memory: cluster.memory(), edges: bookinfo_edges(&graph) }
    }

    /// One table of several clusters' figures.
    pub fn table(columns: &[(&str, &Self)]) -> String {
        let row = |title: &str, cell: &dyn Fn(&Self) -> String| {
            let cells: Vec<_> = columns.iter().map(|(_, figures)| format!("{:>12}", cell(figures))).collect();
            format!("{title:<24}{}\n", cells.concat())
        };
        let names: Vec<_> = columns.iter().map(|(name, _)| format!("{name:>12}")).collect();
        let mut table = format!("{:<24}{}\n", "", names.concat());
        for lab in 0..5 {
            table += &row(&format!("lab {}, seconds", lab + 2), &|figures| format!("{:.1}", figures.seconds[lab]));
        }
        table += &row("labs 2-6, seconds", &|figures| format!("{:.1}", figures.seconds.iter().sum::<f64>()));
        table += &row("memory, MB", &|figures| (figures.memory / 1_000_000).to_string());
        for (source, target) in
            columns.iter().flat_map(|(_, figures)| &figures.edges).collect::<std::collections::BTreeSet<_>>()
        {
            let edge = (source.clone(), target.clone());
            table += &row(&format!("{source} -> {target}"), &|figures| {
                if figures.edges.contains(&edge) { "yes" } else { "no" }.to_owned()
            });
        }
        table
    }
}
