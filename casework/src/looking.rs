//! Looking at people: what for, and what stays covered until somebody says so.

/// What somebody looks at a person for who is not in their hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// 办理业务
    Work,
    /// 核实情况
    Verify,
    /// 居民询问
    Asked,
    /// 监督检查
    Inspection,
    /// 其他工作
    Other,
}

impl Purpose {
    /// The five choices, in the order of the page.
    pub const ALL: [Self; 5] =
        [Self::Work, Self::Verify, Self::Asked, Self::Inspection, Self::Other];

    /// The number that is kept with a look; 0 is a case in one's hands. Never changes.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Work => 1,
            Self::Verify => 2,
            Self::Asked => 3,
            Self::Inspection => 4,
            Self::Other => 5,
        }
    }

    /// The purpose of a number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_comes_back_from_its_number_and_nought_is_none() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::of(purpose.number()), Some(purpose));
        }
        assert_eq!(Purpose::of(0), None);
        assert_eq!(Purpose::of(6), None);
    }
}
