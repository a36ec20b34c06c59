"""The recipes: each loads by itself, says what it is for, and shows by its tests who is in, who is out, and when."""

import tomllib
from pathlib import Path

import pytest

import leadup
from leadup.engine import testing
from leadup.rules.loader import load
from leadup.rules.recipes import folder, recipes
from leadup.taxonomy import EVENTS, PROPERTIES, canonical

ROOT = Path(__file__).parents[2]
RECIPES = recipes()
WANTED = {
    # the seven signals of intent
    *("key_page", "time_on_page", "partial_video", "return_visits", "download", "cta_without_submit", "form_abandoned"),
    *("cart_left", "checkout_left", "full_cart_left", "leaky_form", "chat_started", "webinar"),
    *("considering_not_ready", "low_intent_exclusion", "funnel_drop_off", "resumed_after_pause", "pricing_from_paid"),
}


def test_there_are_many_and_none_that_is_wanted_is_missing():
    assert len(RECIPES) >= 20
    assert RECIPES.keys() >= WANTED


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_loads_without_warnings_and_passes_its_tests(name):
    rules = load([folder() / f"{name}.yaml"], connections=[])
    assert rules.warnings == ()
    assert [failure for result in testing.run(rules) for failure in result.failures] == []


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_shows_who_is_in_and_out_and_what_time_changes(name):
    rules = load([folder() / f"{name}.yaml"])
    tests = [case.test for case in rules.tests]
    told = [it for test in tests for it in (test.expect, *(test.later or ())) if it is not None]
    entered = {segment for it in told for segment in it.in_ or ()}
    assert entered == set(rules.program.segments)
    assert {segment for it in told for segment in it.out or ()} == set(rules.program.segments)
    assert any(test.later for test in tests)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_is_for(name):
    recipe = RECIPES[name]
    assert len(recipe.title) >= 10
    assert recipe.text.startswith("# yaml-language-server: $schema=../schema/rules.schema.json\n# ")
    (file,) = load([folder() / f"{name}.yaml"]).files
    assert all(segment.description for segment in file.rules.segments.values())


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_calls_events_and_properties_by_their_common_names(name):
    for case in load([folder() / f"{name}.yaml"]).tests:
        for event, properties in (it.event for it in case.test.events):
            assert event not in EVENTS
            assert PROPERTIES.keys().isdisjoint(properties)
            assert canonical(event, properties) == (event, properties)


def test_they_are_found_in_a_checkout_and_go_into_the_wheel():
    assert folder() == ROOT / "rules" / "recipes"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    target = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]["rules/recipes"]
    assert ROOT / "src" / target == Path(leadup.__file__).parent / "recipes"
