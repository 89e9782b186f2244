//! The two text formats that Prometheus scrapes: its own (<https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4)
//! and OpenMetrics (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), which Prometheus asks for first.
//!
//! OpenMetrics wants counters to end in `_total`. A probe's metrics are called as their maps are, in both formats: there they are of
//! type unknown.

use std::fmt::{Display, Write};

use clikit::escaped_lines;

use crate::allowance::{Allowance, Exceeded, Held};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Text,
    OpenMetrics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Counter,
    Gauge,
    Histogram,
}

const TEXT: &str = "text/plain";
const OPEN_METRICS: &str = "application/openmetrics-text";
const SUFFIX: &str = "_total";

impl Format {
    /// What a header `Accept` likes best of the two; the text format for who does not say.
    pub fn accepted(header: &str) -> Self {
        let (text, open) = (liking(header, TEXT), liking(header, OPEN_METRICS));
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How much a header likes a media type: its largest q, which is 1 where it does not say (RFC 9110, 12.4.2).
fn liking(header: &str, media_type: &str) -> f32 {
    let mut largest = 0.0;
    for range in header.split(',') {
        let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
        if name.trim() == media_type {
            largest = f32::max(largest, quality(parameters));
        }
    }
    largest
}

/// The q among the parameters of a media type.
fn quality(parameters: &str) -> f32 {
    let q = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
    q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0))
}

/// A scrape's answer, written line by line.
pub struct Exposition {
    text: String,
    format: Format,
    held: Held,
    /// Whether there was room for all of it.
    room: Result<(), Exceeded>,
}

/// An answer, with what it takes.
pub struct Rendering {
    text: String,
    _held: Held,
}

impl AsRef<[u8]> for Rendering {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Exposition {
    pub fn new(format: Format, allowance: &Allowance) -> Self {
        Self { text: String::new(), format, held: allowance.hold(), room: Ok(()) }
    }

    /// Begins a family of samples.
    pub fn family(&mut self, name: &str, kind: Type, help: &str) {
        let (family, kind) = match (self.format, kind, name.strip_suffix(SUFFIX)) {
            (_, Type::Gauge, _) => (name, "gauge"),
            (_, Type::Histogram, _) => (name, "histogram"),
            (Format::Text, Type::Counter, _) => (name, "counter"),
            (Format::OpenMetrics, Type::Counter, Some(family)) => (family, "counter"),
            (Format::OpenMetrics, Type::Counter, None) => (name, "unknown"),
        };
        let mut help = escaped_lines(help).replace('\\', "\\\\").replace('\n', "\\n");
        if self.format == Format::OpenMetrics {
            help = help.replace('"', "\\\"");
        }
        // Writing to a String does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {family} {help}\n# TYPE {family} {kind}");
    }

    /// The unit of the family that has just begun. OpenMetrics alone has units, and only of metrics whose name ends in theirs:
    /// Prometheus refuses a whole scrape for one that does not.
    pub fn unit(&mut self, name: &str, unit: &str) {
        if self.format == Format::OpenMetrics && name.strip_suffix(unit).is_some_and(|before| before.ends_with('_')) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
    }

    /// One sample; its labels are as they stand between braces.
    pub fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        if self.room.is_err() {
            return;
        }
        let _ = match labels {
            "" => writeln!(self.text, "{name} {value}"),
            labels => writeln!(self.text, "{name}{{{labels}}} {value}"),
        };
        self.room = self.held.cover(self.text.len());
    }

    /// # Errors
    /// It would be larger than may be kept: a part of it is no answer.
    pub fn finish(mut self) -> Result<Rendering, Exceeded> {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.room.map(|()| Rendering { text: self.text, _held: self.held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(exposition: Exposition) -> String {
        exposition.finish().unwrap().text
    }

    fn written(format: Format) -> String {
        let mut exposition = Exposition::new(format, &Allowance::unbounded());
        exposition.family("ebpf_solo_io_hash", Type::Counter, "A map.");
        exposition.sample("ebpf_solo_io_hash", "a=\"b\"", 7);
        exposition.family("bee_lost_total", Type::Counter, "Lost.");
        exposition.sample("bee_lost_total", "", -1);
        text(exposition)
    }

    #[test]
    fn names_of_samples_are_the_same_in_both_formats() {
        let [text, open] = [Format::Text, Format::OpenMetrics].map(written);
        let samples =
            |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(samples(&text), ["ebpf_solo_io_hash{a=\"b\"} 7", "bee_lost_total -1"]);
        assert_eq!(samples(&open), samples(&text));
        assert!(
            text.contains("# TYPE ebpf_solo_io_hash counter\n") && text.contains("# TYPE bee_lost_total counter\n")
        );
        assert!(open.contains("# TYPE ebpf_solo_io_hash unknown\n") && open.contains("# TYPE bee_lost counter\n"));
        assert!(open.ends_with("# EOF\n") && !text.contains("EOF"));
    }

    #[test]
    fn a_unit_stands_where_openmetrics_lets_it_and_help_is_one_line() {
        let written = |format, name: &str| {
            let mut exposition = Exposition::new(format, &Allowance::unbounded());
            exposition.family(name, Type::Gauge, "two\nlines, \"C:\\\"");
            exposition.unit(name, "seconds");
            text(exposition)
        };
        assert!(written(Format::OpenMetrics, "took_seconds").contains("# UNIT took_seconds seconds\n"));
        assert!(!written(Format::OpenMetrics, "took").contains("UNIT"));
        assert!(!written(Format::OpenMetrics, "tookseconds").contains("UNIT"));
        assert!(!written(Format::Text, "took_seconds").contains("UNIT"));
        assert!(written(Format::Text, "took").starts_with(r#"# HELP took two\nlines, "C:\\""#));
        assert!(written(Format::OpenMetrics, "took").starts_with(r#"# HELP took two\nlines, \"C:\\\""#));
    }

    #[test]
    fn the_format_is_what_the_scraper_likes_best() {
        // Prometheus 3 says this.
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        for header in [
            "",
            "*/*",
            "text/html",
            "text/plain, application/openmetrics-text;q=0.5",
            "application/openmetrics-text;q=0",
        ] {
            assert_eq!(Format::accepted(header), Format::Text, "{header}");
        }
    }

    #[test]
    fn an_answer_that_is_too_large_is_none() {
        let allowance = Allowance::of_a_file();
        let rendered = |samples: usize| {
            let mut exposition = Exposition::new(Format::Text, &allowance);
            (0..samples).for_each(|_| exposition.sample("m", &"x".repeat(1 << 20), 1));
            exposition.finish()
        };
        let kept = rendered(60).unwrap();
        assert_eq!(rendered(60).err(), Some(Exceeded), "both together");
        drop(kept);
        assert!(rendered(60).is_ok());
    }
}
