//! Writes an answer into the tree as it grows, ends, or is left.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::recorder::Recorder;
use crate::{
    script::Step,
    state::{Asset, AssetContent, Background, Progress, Shared},
};

/// How long a cut answer goes on without a reader, besides the pauses in its script.
const IN_BACKGROUND: Duration = Duration::from_secs(1);

/// Whether answers are written into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Tree,
    Nothing,
}

/// Where an answer is kept.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    keep: Keep,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, keep: Keep) -> Self {
        Self { shared, keep }
    }

    /// Takes a step into the answer, and writes what others may ask for from then on.
    pub(crate) fn record(&self, recorder: &mut Recorder, step: &Step) {
        recorder.apply(step);
        self.save_images(recorder);
        if matches!(
            step,
            Step::Stored | Step::StoredWith(_) | Step::Raw(_) | Step::Event(_) | Step::Completed(_) | Step::Done { .. }
        ) {
            self.save(recorder);
        }
    }

    fn save_images(&self, recorder: &mut Recorder) {
        let images = recorder.take_images();
        if images.is_empty() || self.keep == Keep::Nothing {
            return;
        }
        let mut state = self.shared.state();
        for path in images {
            let asset = Asset {
                owner: recorder.turn().user_id.to_string(),
                content_type: "image/jpeg".to_owned(),
                content: AssetContent::Generated(path.clone()),
            };
            state.assets.insert(path, asset);
        }
    }

    /// Writes the answer as it is now into the tree.
    fn save(&self, recorder: &Recorder) {
        if self.keep == Keep::Nothing {
            return;
        }
        let answer = recorder.answer();
        let mut state = self.shared.state();
        let Some(conversation) = state.conversations.get_mut(&recorder.turn().conversation_id) else {
            return;
        };
        if let Some(node) = conversation.node_mut(&answer.id) {
            *node = answer.clone();
        }
    }

    /// The answer is cut before `steps[rest]` and goes on without a reader: the finished one is written into the tree, due
    /// when the rest of the script would have been played.
    pub(crate) fn detach(&self, recorder: &mut Recorder, steps: &[Step], rest: usize) {
        let replay: Vec<Step> = steps[..rest - 1].iter().chain(&steps[rest..]).cloned().collect();
        let mut wait = IN_BACKGROUND;
        recorder.answer_mut().background = None;
        for step in goes_on(steps, rest) {
            match step {
                Step::Wait(pause) => wait += *pause,
                step => recorder.apply(step),
            }
        }
        self.save_images(recorder);
        let answer = recorder.answer_mut();
        let outcome = if answer.progress() == Progress::Finished { Progress::Finished } else { Progress::Partial };
        answer.set_progress(Progress::InFlight);
        answer.background = Some(Background { steps: replay.into(), done: Instant::now() + wait, outcome });
        self.save(recorder);
    }

    /// The answer comes no further. To be called before its end leaves, so that who saw the end sees the tree settled.
    pub(crate) fn settle(&self, recorder: &mut Recorder) {
        if recorder.answer().progress() == Progress::InFlight && recorder.answer().background.is_none() {
            recorder.answer_mut().set_progress(Progress::Partial);
            self.save(recorder);
        }
    }
}

/// What goes on without a reader after a cut before `steps[rest]`: everything up to the next bad end.
pub(crate) fn goes_on(steps: &[Step], rest: usize) -> impl Iterator<Item = &Step> {
    let bad_end = |step: &&Step| matches!(step, Step::Hang | Step::Reset | Step::Cut { reconnectable: false });
    steps[rest..].iter().take_while(move |step| !bad_end(step))
}
