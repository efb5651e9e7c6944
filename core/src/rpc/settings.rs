//! What a fleet says about its calls, ready for use.

use crate::api::agent_fleet::GrpcSpec;
use crate::glob::Glob;
use crate::series::Layout;

/// What a fleet says about its calls. Another value, even an equal one, stands for an edited fleet.
#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    /// Its calls are observed.
    pub(crate) enabled: bool,
    /// Most different methods.
    pub(crate) max_methods: usize,
    /// How the buckets of its histograms are laid out.
    pub(crate) layout: Layout,
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

// === impl Settings ===

impl Settings {
    pub(crate) fn new(spec: &GrpcSpec) -> Self {
        let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
        Self {
            enabled: spec.enabled,
            max_methods: usize::try_from(spec.max_methods).unwrap_or(0),
            layout: Layout::new(&spec.buckets, spec.native_histograms),
            include: globs(&spec.include_methods),
            exclude: globs(&spec.exclude_methods),
        }
    }

    /// Whether calls of this method are observed.
    pub(crate) fn observes(&self, method: &str) -> bool {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(method));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }

    /// Whether series that began under `before` cannot go on: their buckets are others, or some are not observed any more.
    pub(crate) fn ends(&self, before: &Self) -> bool {
        let told = |settings: &Self| (settings.enabled, settings.layout.clone());
        told(self) != told(before) || self.include != before.include || self.exclude != before.exclude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_out_though_it_is_included() {
        let spec = |include: &[&str], exclude: &[&str]| GrpcSpec {
            include_methods: include.iter().map(|glob| (*glob).to_owned()).collect(),
            exclude_methods: exclude.iter().map(|glob| (*glob).to_owned()).collect(),
            ..GrpcSpec::default()
        };
        let observed = |spec: GrpcSpec| {
            let settings = Settings::new(&spec);
            ["a.B/C", "a.B/D", "x.Y/Z"].map(|method| settings.observes(method))
        };
        assert_eq!(observed(spec(&[], &[])), [true, true, true]);
        assert_eq!(observed(spec(&["a.*"], &[])), [true, true, false]);
        assert_eq!(observed(spec(&["a.*"], &["*/D"])), [true, false, false]);
        assert_eq!(observed(spec(&[], &["*/D", "x.Y/Z"])), [true, false, false]);
    }

    #[test]
    fn bounds_that_do_not_rise_are_those_of_the_metric() {
        let layout =
            |buckets: &[f64]| Settings::new(&GrpcSpec { buckets: buckets.to_vec(), ..GrpcSpec::default() }).layout;
        assert_eq!(layout(&[0.1, 1.0]), Layout { bounds: Some([0.1, 1.0].into()), native: false });
        for unusable in [&[][..], &[1.0, 0.1], &[1.0, 1.0], &[f64::NAN], &[f64::INFINITY]] {
            assert_eq!(layout(unusable), Layout::default(), "{unusable:?}");
        }
    }
}
