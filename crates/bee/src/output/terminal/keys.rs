//! What the keys change: which tab is shown, from which row on, which rows, and whether it goes on.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// The keys, for who looks at the screen.
pub const HELP: &str = "tab: next tab  /: find  p: pause  up, down: scroll  q: end";

/// What the user has chosen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Choices {
    /// The tab that is shown: a map or an iterator.
    pub tab: usize,
    /// The first row that is shown.
    pub offset: usize,
    pub paused: bool,
    /// Only rows with this text are shown.
    pub find: String,
    /// The text is being typed.
    pub typing: bool,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    GoOn,
    End,
}

impl Choices {
    /// Takes a key; there are so many tabs. In raw mode Ctrl-C comes as one, and ends the run from anywhere.
    pub fn take(&mut self, key: KeyEvent, tabs: usize) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::GoOn;
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Wish::End;
        }
        if self.typing {
            self.type_text(key.code);
            return Wish::GoOn;
        }
        match key.code {
            KeyCode::Char('q') => return Wish::End,
            KeyCode::Esc => self.find.clear(),
            KeyCode::Char('p') | KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Tab | KeyCode::Right => self.show((self.tab + 1) % tabs.max(1)),
            KeyCode::BackTab | KeyCode::Left => self.show((self.tab + tabs.max(1) - 1) % tabs.max(1)),
            KeyCode::Down => self.offset = self.offset.saturating_add(1),
            KeyCode::Up => self.offset = self.offset.saturating_sub(1),
            KeyCode::PageDown => self.offset = self.offset.saturating_add(20),
            KeyCode::PageUp => self.offset = self.offset.saturating_sub(20),
            KeyCode::Home => self.offset = 0,
            _ => {}
        }
        Wish::GoOn
    }

    fn type_text(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => (self.typing, self.find) = (false, String::new()),
            KeyCode::Backspace => drop(self.find.pop()),
            KeyCode::Char(c) => self.find.push(c),
            _ => {}
        }
        self.offset = 0;
    }

    fn show(&mut self, tab: usize) {
        (self.tab, self.offset) = (tab, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(choices: &mut Choices, keys: &[KeyCode]) -> Wish {
        keys.iter().map(|key| choices.take(KeyEvent::new(*key, KeyModifiers::NONE), 3)).last().unwrap()
    }

    /// A5 #19: in BumbleBee this holds a lock for ever.
    #[test]
    fn tabs_are_gone_through_in_both_directions() {
        let mut choices = Choices::default();
        press(&mut choices, &[KeyCode::Down, KeyCode::BackTab]);
        assert_eq!((choices.tab, choices.offset), (2, 0));
        press(&mut choices, &[KeyCode::Tab]);
        assert_eq!(choices.tab, 0);
    }

    #[test]
    fn what_is_typed_is_no_command_and_ctrl_c_always_is() {
        let mut choices = Choices::default();
        assert_eq!(press(&mut choices, &[KeyCode::Char('/'), KeyCode::Char('q'), KeyCode::Char('p')]), Wish::GoOn);
        assert_eq!((choices.find.as_str(), choices.paused), ("qp", false));
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(choices.take(interrupt, 3), Wish::End);
        assert_eq!(press(&mut choices, &[KeyCode::Enter, KeyCode::Esc]), Wish::GoOn, "the first Esc shows all again");
        assert_eq!(press(&mut choices, &[KeyCode::Char('q')]), Wish::End);
    }
}
