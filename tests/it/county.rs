use cunkou_tests::county::County;

#[test]
fn a_county_founds_itself_and_every_box_holds_its_residents_within_forty_seconds() {
    let county = County::start().expect("a county");
    assert!(county.told.ready_ms < 40_000, "{} ms", county.told.ready_ms);
    for (node, residents) in [("township", 2100), ("village1", 1520), ("village2", 580)] {
        let status = county.status(node).expect("a running box");
        assert_eq!(status["schema"], 1);
        assert_eq!(status["residents"], residents, "{node}");
        assert_eq!(status["quarantine"], 0, "{node}");
    }
}
