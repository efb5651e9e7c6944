//! Places of panels in Grafana's grid of 24 columns: from left to right, and on a new line where a panel does not fit any more.

use super::json::GridPos;

/// Columns of the grid.
pub(super) const COLUMNS: u32 = 24;
/// Lines that the heading of a row takes.
const HEADING: u32 = 1;

/// The next free place. Flows from left to right, a line as high as its highest panel.
#[derive(Debug, Default)]
pub(super) struct Flow {
    x: u32,
    y: u32,
    height: u32,
}

// === impl Flow ===

impl Flow {
    /// The place of a heading, on a line of its own.
    pub(super) fn heading(&mut self) -> GridPos {
        self.line();
        let place = GridPos { x: 0, y: self.y, w: COLUMNS, h: HEADING };
        self.y += HEADING;
        place
    }

    /// The place of a panel of this size. None is wider than the grid.
    pub(super) fn panel(&mut self, (width, height): (u32, u32)) -> GridPos {
        let width = width.min(COLUMNS);
        if self.x + width > COLUMNS {
            self.line();
        }
        let place = GridPos { x: self.x, y: self.y, w: width, h: height };
        self.x += width;
        self.height = self.height.max(height);
        place
    }

    /// Begins a new line, if this one has something.
    fn line(&mut self) {
        self.y += self.height;
        (self.x, self.height) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overlap(a: &GridPos, b: &GridPos) -> bool {
        a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
    }

    #[test]
    fn panels_fill_a_line_and_then_the_next() {
        let mut flow = Flow::default();
        let places = [flow.heading(), flow.panel((12, 8)), flow.panel((12, 4)), flow.panel((6, 2)), flow.heading()];
        let corners = places.map(|place| (place.x, place.y));
        assert_eq!(corners, [(0, 0), (0, 1), (12, 1), (0, 9), (0, 11)]);
    }

    proptest! {
        #[test]
        fn no_two_panels_overlap_and_none_leaves_the_grid(
            sizes in prop::collection::vec(prop::option::weighted(0.8, (1_u32..40, 1_u32..12)), 1..40)
        ) {
            let mut flow = Flow::default();
            let places: Vec<_> = sizes
                .into_iter()
                .map(|size| if let Some(size) = size { flow.panel(size) } else { flow.heading() })
                .collect();
            for (i, place) in places.iter().enumerate() {
                prop_assert!(place.w > 0 && place.x + place.w <= COLUMNS);
                prop_assert!(places[..i].iter().all(|other| !overlap(place, other)), "{places:?}");
            }
        }
    }
}
