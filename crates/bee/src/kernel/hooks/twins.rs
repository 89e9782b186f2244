//! Two programs of one object that would see the same event, for kernels with and without the cheaper hook: every program of libbpf-tools
//! has such twins, and its user space loads one of them. If both ran, each event would count twice.

use crate::kernel::hooks::{Hook, Kind};
use crate::object::variants::variant_of;

/// Programs by name, and where they go.
pub type Hooks = Vec<(String, Hook)>;

/// The programs of a probe that run together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub hooks: Hooks,
    /// What is said of each program that another stands for.
    pub left_out: Vec<String>,
}

/// The choices to try one after the other: the cheaper of all twins, then the others. Without twins there is one.
pub fn choices(hooks: Hooks) -> Vec<Choice> {
    let (cheap, costly) = (without(&hooks, Kind::is_cheaper), without(&hooks, |kind| !kind.is_cheaper()));
    if cheap.left_out.is_empty() { vec![Choice { hooks, left_out: vec![] }] } else { vec![costly, cheap] }
}

/// Pairs of programs that see the same event.
pub fn pairs(hooks: &Hooks) -> Vec<(&str, &str)> {
    let mut pairs = vec![];
    for (index, (name, hook)) in hooks.iter().enumerate() {
        let twins = hooks[index + 1..].iter().filter(|(other, twin)| are_twins((name, hook), (other, twin)));
        pairs.extend(twins.map(|(twin, _)| (name.as_str(), twin.as_str())));
    }
    pairs
}

/// All programs but those of these kinds that have a twin.
fn without(hooks: &Hooks, leaves: impl Fn(Kind) -> bool) -> Choice {
    let mut choice = Choice { hooks: vec![], left_out: vec![] };
    for (name, hook) in hooks {
        let twin = hooks.iter().find(|(other, twin)| are_twins((name, hook), (other, twin)));
        match twin {
            Some((twin, _)) if leaves(hook.kind) => {
                choice
                    .left_out
                    .push(format!("{name} (SEC(\"{}\")) left out, as {twin} sees the same event", hook.section));
            }
            _ => choice.hooks.push((name.clone(), hook.clone())),
        }
    }
    choice
}

/// Whoever marks programs as variants has said which belong together.
fn are_twins((name, hook): (&str, &Hook), (other, twin): (&str, &Hook)) -> bool {
    let are_marked = variant_of(name).is_some() || variant_of(other).is_some();
    !are_marked
        && hook.kind.is_cheaper() != twin.kind.is_cheaper()
        && event(hook).is_some()
        && event(hook) == event(twin)
}

/// What calls a program, whatever the way.
fn event(hook: &Hook) -> Option<(&'static str, &str)> {
    let word = hook.section.split('/').next().unwrap_or_default();
    let what = match word {
        "tp_btf" | "raw_tp" | "raw_tracepoint" => "tracepoint",
        "fentry" | "kprobe" => "entry",
        "fexit" | "kretprobe" => "return",
        _ => return None,
    };
    Some((what, hook.target.as_str()))
}

impl Kind {
    /// Whether it is the one that costs less, which older kernels and some processors lack.
    fn is_cheaper(self) -> bool {
        matches!(self, Self::BtfTracepoint | Self::Trampoline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(programs: &[(&str, &str)]) -> Hooks {
        programs.iter().map(|(name, section)| ((*name).to_owned(), Hook::parse(name, section).unwrap())).collect()
    }

    fn tried(programs: &[(&str, &str)]) -> Vec<Vec<String>> {
        let names = |choice: Choice| choice.hooks.into_iter().map(|(name, _)| name).collect();
        choices(hooks(programs)).into_iter().map(names).collect()
    }

    #[test]
    fn of_two_programs_for_one_event_the_cheaper_runs_or_else_the_other() {
        let programs = [("a", "raw_tp/sys_enter"), ("b", "tp_btf/sys_enter"), ("c", "kprobe/tcp_connect")];
        assert_eq!(tried(&programs), [["b", "c"], ["a", "c"]]);
        let programs = [("a", "kprobe/f"), ("b", "fentry/f"), ("c", "kretprobe/f"), ("d", "fexit/f")];
        assert_eq!(tried(&programs), [["b", "d"], ["a", "c"]]);
        let left_out = &choices(hooks(&programs))[0].left_out;
        assert_eq!(left_out[0], "a (SEC(\"kprobe/f\")) left out, as b sees the same event");
    }

    #[test]
    fn programs_for_other_events_all_run() {
        for programs in [
            [("a", "kprobe/f"), ("b", "kprobe/f")],
            [("a", "kprobe/f"), ("b", "fexit/f")],
            [("a", "kprobe/f"), ("b", "fentry/g")],
            [("a", "raw_tp/sys_enter"), ("b", "tp_btf/sys_exit")],
            [("a___raw", "raw_tp/sys_enter"), ("b___btf", "tp_btf/sys_enter")],
        ] {
            assert_eq!(
                tried(&programs),
                [["a", "b"].map(|name| programs
                    .iter()
                    .find(|(known, _)| known.starts_with(name))
                    .unwrap()
                    .0
                    .to_owned())]
            );
            assert_eq!(pairs(&hooks(&programs)), []);
        }
    }
}
