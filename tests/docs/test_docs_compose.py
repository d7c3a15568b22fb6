"""docker-compose.yml and the files it mounts hold together. (No Docker here: read, not run.)"""

import re
from typing import Any

import pages
import pytest
import settings_table
import yaml

from xunlou.broker_files import GATEWAY_USER, acl_text, config_text


@pytest.fixture(scope="module")
def compose() -> Any:
    """The file, parsed."""
    return yaml.safe_load(pages.read("docker-compose.yml"))


def test_the_network_edition_has_its_four_services_and_a_migration(compose: Any) -> None:
    """Database, broker, server and gateway, and the schema is brought up before the server."""
    services = compose["services"]
    assert set(services) == {"postgres", "mosquitto", "migrate", "server", "gateway"}
    assert services["migrate"]["command"] == ["db", "upgrade"]
    assert services["server"]["command"] == ["serve"]
    assert services["gateway"]["command"] == ["gateway"]
    conditions = services["server"]["depends_on"]
    assert conditions["migrate"] == {"condition": "service_completed_successfully"}
    assert conditions["postgres"] == {"condition": "service_healthy"}


def test_every_key_is_one_that_compose_knows(compose: Any) -> None:
    """A misspelt key would be an error only on the day somebody starts it."""
    service_keys = {
        "build", "image", "init", "restart", "stop_grace_period", "read_only", "tmpfs", "cap_drop",
        "security_opt", "logging", "command", "environment", "depends_on", "healthcheck", "ports",
        "volumes", "shm_size",
    }  # fmt: skip
    health_keys = {"test", "interval", "timeout", "retries", "start_period"}
    top = {key for key in compose if not key.startswith("x-")}
    assert top == {"name", "services", "volumes"}
    for service in compose["services"].values():
        assert set(service) <= service_keys
        assert set(service.get("healthcheck", {})) <= health_keys


def test_images_have_bounded_tags_and_no_registry(compose: Any) -> None:
    """`latest` would be another broker tomorrow."""
    for name, service in compose["services"].items():
        image, _, tag = service["image"].partition(":")
        assert re.match(r"\d", tag), f"{name}: {service['image']}"
        assert "/" not in image, f"{name}: {service['image']}"


def test_what_runs_for_long_is_watched_and_comes_back(compose: Any) -> None:
    """Each service but the migration has a health check and is started again."""
    for name, service in compose["services"].items():
        if name == "migrate":
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name


def test_secrets_come_from_the_environment_and_have_no_default(compose: Any) -> None:
    """No secret stands in the file, and compose says which one to set."""
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|DATABASE_URL", key) and value is not None:
                assert re.search(r"\$\{[A-Z_]+:\?[^}]+\}", value), f"{name}: {key}"


def test_every_variable_is_a_setting(compose: Any) -> None:
    """Server and gateway are given only what they read, and all that they require."""
    for service in ("server", "gateway"):
        model = settings_table.TABLES[service]
        known = {settings_table.variable(model, n, f) for n, f in model.model_fields.items()}
        given = set(compose["services"][service]["environment"])
        assert given <= known, given - known
        required = {
            settings_table.variable(model, n, f)
            for n, f in model.model_fields.items()
            if "Required" in (f.description or "")
        }
        assert required <= given, required - given


def test_the_database_url_has_the_form_of_the_driver(compose: Any) -> None:
    """Server and migration use the same database, by psycopg."""
    both = (compose["services"][name]["environment"] for name in ("server", "migrate"))
    urls = {environment["XUNLOU_DATABASE_URL"] for environment in both}
    assert len(urls) == 1
    assert urls.pop().startswith("postgresql+psycopg://xunlou:")


def test_state_outlives_its_container(compose: Any) -> None:
    """Database and broker keep their files in named volumes, and every mounted file is there."""
    mounts = {
        "postgres": "postgres-data:/var/lib/postgresql/data",
        "mosquitto": "mosquitto-data:/mosquitto/data",
    }
    for service, mount in mounts.items():
        assert mount in compose["services"][service]["volumes"]
        assert mount.partition(":")[0] in compose["volumes"]
    for mount in compose["services"]["mosquitto"]["volumes"]:
        if isinstance(mount, dict) and not mount["source"].startswith("${"):
            assert (pages.ROOT / mount["source"]).is_file()
    dockerfile = compose["services"]["server"]["build"]["dockerfile"]
    assert (pages.ROOT / dockerfile).is_file()


def test_what_the_image_copies_is_there_and_complete() -> None:
    """Every package of the project is in the image, and nothing is copied that doesn't exist."""
    copied = set()
    for line in re.findall(r"^COPY (.+)$", pages.read("xunlou/deploy/Dockerfile"), re.MULTILINE):
        copied |= set(line.split()[:-1])
    assert all((pages.ROOT / name).exists() for name in copied)
    assert {p.parent.name for p in pages.ROOT.glob("*/__init__.py")} <= copied
    let_in = set(re.findall(r"^!(.+)$", pages.read("xunlou/deploy/Dockerfile.dockerignore"), re.M))
    assert let_in == copied


def _rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_broker_lets_everybody_do_what_the_embedded_one_does() -> None:
    """One access list in both editions, and the gateway logs in by the name it knows."""
    assert _rules(pages.read("xunlou/deploy/mosquitto.acl")) == _rules(acl_text())
    gateway = yaml.safe_load(pages.read("docker-compose.yml"))["services"]["gateway"]
    assert gateway["environment"]["XUNLOU_MQTT_USERNAME"] == GATEWAY_USER


def test_the_broker_is_as_durable_as_the_embedded_one() -> None:
    """Both configurations agree on all but address and paths."""
    places = ("listener", "password_file", "acl_file", "persistence_location")

    def durable(text: str) -> set[str]:
        return {line for line in _rules(text) if not line.startswith(places)}

    embedded = durable(config_text(pages.ROOT, 1883, as_root=False))
    assert {"persistence true", "autosave_interval 1"} <= embedded
    assert durable(pages.read("xunlou/deploy/mosquitto.conf")) == embedded
