import random
from collections import Counter, defaultdict

import pytest
from helpers.builders import restricted_config, write_images

from quac.data.sources import list_source
from quac.data.split import (
    assign_splits,
    group_by,
    refuse_existing_manifests,
    split_units,
    write_manifests,
    write_splits,
)
from quac.system.errors import QuacError

SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
MANY = range(60)  # random cases per property


def random_from(seed):
    return random.Random(seed)  # noqa: S311 (no secret)


def random_shares(rng):
    names = rng.sample(list(SHARES), rng.randint(1, 3))
    parts = [rng.uniform(0.05, 1) for _ in names]
    return {name: part / sum(parts) for name, part in zip(names, parts, strict=True)}


def case(classes, units):
    return [f"{name}/{number:05d}.png" for number, name in enumerate(classes)], classes, units


def singletons(rng, fewest=3):
    classes = [f"c{name}" for name in range(rng.randint(1, 5)) for _ in range(rng.randint(fewest, 60))]
    return case(classes, list(range(len(classes))))


def grouped(rng):
    """Units of 1 to 9 images of one class."""
    classes, units = [], []
    for name in range(rng.randint(1, 4)):
        for unit in range(rng.randint(3, 15)):
            size = rng.randint(1, 9)
            classes += [f"c{name}"] * size
            units += [f"{name}-{unit}"] * size
    return case(classes, units)


def mixed(rng):
    """Units of 1 to 9 images of any classes; many enough for every class to reach every split."""
    classes, units = [], []
    for unit in range(40):
        for _ in range(rng.randint(1, 9)):
            classes.append(rng.choice("abc"))
            units.append(unit)
    return case(classes, units)


def by_class(classes, splits):
    counts = defaultdict(Counter)
    for name, split in zip(classes, splits, strict=True):
        counts[name][split] += 1
    return counts


@pytest.mark.parametrize("seed", MANY)
@pytest.mark.parametrize("make", [singletons, grouped, mixed])
def test_units_are_not_divided_and_every_class_is_in_every_split(make, seed):
    rng = random_from(seed)
    (keys, classes, units), shares = make(rng), random_shares(rng)
    splits = assign_splits(keys, classes, units, shares, seed)
    assert len(splits) == len(keys)
    assert len(set(zip(units, splits, strict=True))) == len(set(units))
    assert all(count.keys() == shares.keys() for count in by_class(classes, splits).values())


@pytest.mark.parametrize("seed", MANY)
def test_the_counts_of_single_images_are_the_shares_rounded(seed):
    rng = random_from(seed)
    shares = random_shares(rng)
    keys, classes, units = singletons(rng, fewest=round(1 / min(shares.values())) + 1)  # one in each by the share alone
    for name, counts in by_class(classes, assign_splits(keys, classes, units, shares, seed)).items():
        for split, share in shares.items():
            assert abs(counts[split] - share * classes.count(name)) < 1


@pytest.mark.parametrize(
    ("count", "expected"),
    [(3, (1, 1, 1)), (4, (2, 1, 1)), (5, (3, 1, 1)), (7, (5, 1, 1)), (10, (7, 2, 1)), (500, (350, 75, 75))],
)
def test_the_largest_remainder_and_one_for_each_split(count, expected):
    keys, classes, units = case(["a"] * count, list(range(count)))
    counts = Counter(assign_splits(keys, classes, units, SHARES, 0))
    assert tuple(counts[split] for split in SHARES) == expected


@pytest.mark.parametrize("seed", MANY)
@pytest.mark.parametrize("make", [singletons, grouped, mixed])
def test_the_seed_decides_and_the_order_of_the_images_does_not(make, seed):
    rng = random_from(seed)
    keys, classes, units = make(rng)
    splits = assign_splits(keys, classes, units, SHARES, seed)
    order = rng.sample(range(len(keys)), len(keys))
    relabelled = [f"unit {units[i]}" for i in order]
    again = assign_splits([keys[i] for i in order], [classes[i] for i in order], relabelled, SHARES, seed)
    assert again == [splits[i] for i in order]


def test_another_seed_gives_another_split_and_one_seed_the_same_anywhere():
    keys, classes, units = case(["a", "b"] * 20, list(range(40)))
    splits = [assign_splits(keys, classes, units, SHARES, seed) for seed in range(10)]
    assert len(set(map(tuple, splits))) == 10
    assert "".join(split[1] for split in splits[0]) == "rrrrraerreerarrrrerrraarrarrrraerrrrerrr"


def test_large_units_do_not_take_all_of_a_class():
    keys, classes, units = case(["a"] * 40, [number // 10 for number in range(40)])
    assert Counter(assign_splits(keys, classes, units, SHARES, 0)) == {"train": 20, "validation": 10, "test": 10}


@pytest.mark.parametrize("seed", range(20))
def test_grouped_shares_are_close_if_the_units_are_small(seed):
    rng = random_from(seed)
    units = [unit for unit in range(100) for _ in range(rng.randint(1, 9))]
    counts = Counter(assign_splits(*case(["a"] * len(units), units), SHARES, seed))
    assert all(abs(counts[split] - share * len(units)) < 2 for split, share in SHARES.items())


def test_units_of_several_classes_that_block_each_other_are_placed_in_another_order():
    members = ["ab", "bc", "ca", "a", "b", "c", "abc"]
    classes, units = list("".join(members)), [unit for unit, names in enumerate(members) for _ in names]
    for seed in range(50):
        splits = assign_splits(*case(classes, units), SHARES, seed)
        assert all(len(counts) == 3 for counts in by_class(classes, splits).values())


def test_a_split_with_share_0_is_left_out():
    keys, classes, units = case(["a"] * 4, list(range(4)))
    assert set(assign_splits(keys, classes, units, {"train": 0.5, "validation": 0.5, "test": 0}, 0)) == {
        "train",
        "validation",
    }


def test_all_classes_with_too_few_units_are_named():
    keys, classes, units = case(["a"] * 9 + ["b"] * 9 + ["c"] * 9, [0] * 9 + list(range(1, 10)) + [10, 11] * 4 + [11])
    with pytest.raises(QuacError, match="fewer units") as error:
        assign_splits(keys, classes, units, SHARES, 0)
    assert str(error.value).endswith("or give a split the share 0:\n  a: 1\n  c: 2")


def test_classes_whose_units_cannot_be_divided_are_named():
    classes, units = list("abbcca"), [0, 0, 1, 1, 2, 2]  # any two splits leave one of the pairs together
    with pytest.raises(QuacError, match="units hold images of several classes"):
        assign_splits(*case(classes, units), {"train": 0.5, "test": 0.5}, 0)


@pytest.mark.parametrize("shares", [{"train": 0.7, "test": 0.2}, {"train": 1.2, "test": -0.2}, {"train": float("nan")}])
def test_invalid_shares_are_named(shares):
    with pytest.raises(QuacError, match="must be from 0 to 1 and sum to 1"):
        assign_splits(*case(["a"] * 9, list(range(9))), shares, 0)


def test_units_join_groups_and_near_duplicates_transitively():
    table = [
        ("f", "g1", "00000000000000ff"),
        ("e", "g1", ""),
        ("d", "", "00000000000000fe"),  # 1 bit from f
        ("c", "", "00000000000000f0"),  # 3 bits from d, 4 from f
        ("b", "", ""),
        ("a", "g2", "ffffffffffffffff"),
        ("g", "", "ffffffffffffffff"),
        ("h", "", ""),
    ]
    names, groups, phashes = zip(*table, strict=True)
    assert split_units(names, groups, phashes, 3, [b"01"] * 8) == ["c", "c", "c", "c", "b", "a", "a", "h"]
    assert split_units(names, groups, phashes, 1, [b"01"] * 8) == ["d", "d", "d", "c", "b", "a", "a", "h"]
    assert split_units(names, groups, phashes, 0, [b"01"] * 8) == ["e", "e", "d", "c", "b", "a", "a", "h"]
    assert split_units(names, [""] * 8, [""] * 8, 3, [b"01"] * 8) == list(names)


def test_many_copies_of_one_image_are_one_unit():
    names = [f"{number:05d}" for number in range(20_000)]
    assert set(split_units(names, [""] * 20_000, ["0123456789abcdef"] * 20_000, 4, [b"01"] * 20_000)) == {"00000"}


@pytest.mark.parametrize(("pattern", "expected"), [(r"p\d+", ["p1", "p22"]), (r"(p\d)\d*_(.)", ["p1", "p2"])])
def test_groups_come_from_paths(pattern, expected):
    assert group_by(["a/p1_x.png", "b/p22_y.png"], pattern) == expected


@pytest.mark.parametrize("pattern", [r"p\d+", r"p(\d*)|n", r"(p\d*)|n"])
def test_paths_without_a_group_are_named(pattern):
    names = ["p1.png", *(f"n{number:02d}.png" for number in range(12))]
    with pytest.raises(QuacError, match="finds no group in 12 of 13 paths; correct it") as error:
        group_by(names, pattern)
    assert repr(pattern) in str(error.value)
    assert str(error.value).splitlines()[1:] == [*(f"  n{number:02d}.png" for number in range(10)), "  ... and 2 more"]


def test_a_wrong_pattern_is_named():
    with pytest.raises(QuacError, match=r"'\(p' is not a regular expression \(.*\); correct it"):
        group_by(["p"], "(p")


NAMES = ['"quoted".png', "new\nline.png", "return\r.png", "both\r\n.png", "a,b;c.png", " space .png", "Zoë 画像.png"]


def test_manifests_survive_the_round_trip(tmp_path):
    for place, name in enumerate(NAMES):
        folder = tmp_path / "data" / ("a" if place % 2 else 'b,"\nß')
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    found = list_source(tmp_path / "data", "train")
    images = [image | {"group": name[::-1]} for image, name in zip(found.images, NAMES, strict=True)]
    splits = ["train", "validation", "train", "train", "validation", "train", "validation"]
    write_manifests(tmp_path / "out" / "deep", found.base, images, splits)
    assert sorted(file.name for file in (tmp_path / "out" / "deep").iterdir()) == [
        "test.csv",
        "train.csv",
        "validation.csv",
    ]
    for split in ("train", "validation"):
        again = list_source(tmp_path / "out" / "deep" / f"{split}.csv", split)
        expected = [image for image, chosen in zip(images, splits, strict=True) if chosen == split]
        back = [image | {"path": image["path"].removeprefix("../../data/")} for image in again.images]
        assert back == sorted(expected, key=lambda image: (image["class"], image["path"]))
        assert all((tmp_path / "out" / "deep" / image["path"]).is_file() for image in again.images)


def test_manifests_keep_masks_and_further_columns(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "all.csv").write_text("path,class,mask,site,age\n1.png,a,m/1.png,Köln,\n/far/2.png,a,,,3\n")
    found = list_source(tmp_path / "in" / "all.csv", "train")
    write_manifests(tmp_path / "in" / "made", found.base, found.images, ["test", "test"])
    again = list_source(tmp_path / "in" / "made" / "test.csv", "test")
    far, near = again.images
    assert (near["path"], near["mask"], near["manifest.site"], near["manifest.age"]) == (
        "../1.png",
        "../m/1.png",
        "Köln",
        "",
    )
    assert (far["mask"], far["manifest.site"], far["manifest.age"]) == ("", "", "3")


def test_manifests_in_a_linked_folder_find_their_images(tmp_path):
    for name in ("data/a/1.png", "elsewhere/deep/er/.keep"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere" / "deep" / "er")
    found = list_source(tmp_path / "data", "train")
    write_manifests(tmp_path / "out", found.base, found.images, ["train"])
    again = list_source(tmp_path / "out" / "train.csv", "train")
    assert (tmp_path / "out" / again.images[0]["path"]).read_text() == "x"


def test_hashes_that_are_near_by_chance_keep_nothing_together():
    hashes = ["0" * 16, "0" * 15 + "1"]
    assert split_units(["a", "b"], ["", ""], hashes, 4, [b"0123", b"0124"]) == ["a", "a"]
    assert split_units(["a", "b"], ["", ""], hashes, 4, [b"0123", b"3210"]) == ["a", "b"]


def test_images_are_split_by_the_settings_of_the_key(tmp_path):
    write_images(tmp_path / "images", {"a": 4, "b": 4, "c": 1})
    none = {section: {"source": None} for section in ("data", "validation_data", "test_data")}
    none["data"]["classes"] = ["a", "b"]
    config = restricted_config("split", split={"source": str(tmp_path / "images"), "seed": 3}, **none)
    refuse_existing_manifests(tmp_path)
    write_splits(tmp_path, config.split, config.data, config.checks.near_duplicate_distance)
    splits = {split: list_source(tmp_path / f"{split}.csv", split) for split in SHARES}
    assert [len(listing.images) for listing in splits.values()] == [4, 2, 2]
    assert all(listing.classes == ["a", "b"] for listing in splits.values())
    with pytest.raises(QuacError, match=r"train\.csv: exists already; remove it"):
        refuse_existing_manifests(tmp_path)
    (tmp_path / "images/a/a-00.png").write_bytes(b"")
    with pytest.raises(QuacError, match=r"1 file\(s\) cannot be used\n  a/a-00\.png: is empty"):
        write_splits(tmp_path / "other", config.split, config.data, 4)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["1.png", "cat/1.gif", "@eaDir/cat/1.png"])
def test_a_source_without_images_of_a_class_is_named(tmp_path, name):
    (tmp_path / "images" / name).parent.mkdir(parents=True)
    (tmp_path / "images" / name).write_text("x")
    config = restricted_config("split", split={"source": str(tmp_path / "images")}, data={"source": None},
                               validation_data={"source": None}, test_data={"source": None})  # fmt: skip
    with pytest.raises(QuacError, match="images: holds images of 0 classes; put the images") as error:
        write_splits(tmp_path / "out", config.split, config.data, 4)
    assert f"\n  {name.split('/')[0] if name[0] == '@' else name}" in str(error.value)
    assert not (tmp_path / "out").exists()
