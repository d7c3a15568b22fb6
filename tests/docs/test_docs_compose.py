"""docker-compose.yml and the files it mounts hold together. (No Docker here: read, not run.)"""

import re
from typing import Any

import pages
import pytest
import settings_table
import yaml

from xunlou.broker_files import GATEWAY_USER, acl_text, config_text
from xunlou.broker_tls import Tls
from xunlou.cli import _parser

WRITTEN = {"/accounts", "/backups"}
"""Folders of this machine that a container writes in, one container each."""


@pytest.fixture(scope="module")
def compose() -> Any:
    """The file, parsed."""
    return yaml.safe_load(pages.read("docker-compose.yml"))


def test_the_network_edition_has_its_services_by_profile(compose: Any) -> None:
    """One of each by default; a second server and gateway; and who watches them."""
    services = compose["services"]
    by_profile: dict[str, set[str]] = {}
    for name, service in services.items():
        (profile,) = service.get("profiles", ["always"])
        by_profile.setdefault(profile, set()).add(name)
    assert by_profile == {
        "always": {"postgres", "mosquitto", "accounts", "migrate", "server", "gateway"},
        "two": {"server2", "gateway2"},
        "watch": {"prometheus", "grafana"},
    }
    for server in ("server", "server2"):
        assert services[server]["command"] == ["serve"]
        conditions = services[server]["depends_on"]
        assert conditions["migrate"] == {"condition": "service_completed_successfully"}
        assert conditions["postgres"] == {"condition": "service_healthy"}


def test_two_gateways_have_two_names_and_reach_either_server(compose: Any) -> None:
    """One name would throw the other out of the broker; one server's end must stop no gateway."""
    services = compose["services"]
    gateways = [services[name]["environment"] for name in ("gateway", "gateway2")]
    assert len({g["XUNLOU_GATEWAY_ID"] for g in gateways}) == 2
    for gateway in gateways:
        assert gateway["XUNLOU_MQTT_SHARE"] == "${XUNLOU_MQTT_SHARE:-}", "by themselves: nothing"
        host = re.fullmatch(r"http://(\w+):8000", gateway["XUNLOU_SERVER_URL"])
        assert host is not None
        for server in ("server", "server2"):
            assert host[1] in services[server]["networks"]["default"]["aliases"]


def test_every_key_is_one_that_compose_knows(compose: Any) -> None:
    """A misspelt key would be an error only on the day somebody starts it."""
    service_keys = {
        "build", "image", "init", "restart", "stop_grace_period", "read_only", "tmpfs", "cap_drop",
        "security_opt", "logging", "command", "environment", "depends_on", "healthcheck", "ports",
        "volumes", "shm_size", "user", "profiles", "networks", "secrets",
    }  # fmt: skip
    health_keys = {"test", "interval", "timeout", "retries", "start_period"}
    top = {key for key in compose if not key.startswith("x-")}
    assert top == {"name", "services", "volumes", "secrets"}
    for service in compose["services"].values():
        assert set(service) <= service_keys
        assert set(service.get("healthcheck", {})) <= health_keys


def test_images_have_bounded_tags_and_no_registry(compose: Any) -> None:
    """`latest` would be another broker tomorrow."""
    for name, service in compose["services"].items():
        image, _, tag = service["image"].partition(":")
        assert re.match(r"v?\d", tag), f"{name}: {service['image']}"
        assert re.fullmatch(r"[a-z-]+(/[a-z-]+)?", image), f"{name}: {service['image']}"


def test_nothing_runs_as_root_or_writes_where_it_need_not(compose: Any) -> None:
    """Each service has an account, a read-only file system, and no capabilities."""
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["tmpfs"], name


def test_ports_are_published_on_the_loopback_address_unless_somebody_says_otherwise(
    compose: Any,
) -> None:
    """And the broker's plain port not at all: terminals outside speak TLS."""
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert re.fullmatch(r"\$\{[A-Z0-9_]+:-127\.0\.0\.1:\d+\}:\d+", port), f"{name}: {port}"
    terminals, gateways = compose["services"]["mosquitto"]["ports"]
    assert (terminals.endswith(":8883"), gateways.endswith(":8884")) == (True, True)


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


def test_every_variable_is_a_setting_and_every_setting_of_the_server_is_handed_on(
    compose: Any,
) -> None:
    """Server and gateway are given only what they read, and all that they require."""
    logs = {"XUNLOU_LOG_LEVEL", "XUNLOU_LOG_FORMAT"}
    not_here = {"XUNLOU_CLOCK", "XUNLOU_SIM_URL", "XUNLOU_OPERATOR_PASSWORD"}  # for demos
    for service, program in (("server", "server"), ("server2", "server"), ("gateway", "gateway")):
        model = settings_table.TABLES[program]
        known = {settings_table.variable(model, n, f) for n, f in model.model_fields.items()}
        given = set(compose["services"][service]["environment"])
        assert given <= known | logs, given - known
        required = {
            settings_table.variable(model, n, f)
            for n, f in model.model_fields.items()
            if "Required" in (f.description or "")
        }
        assert required <= given, required - given
        if program == "server":
            assert known - given <= not_here, known - given - not_here


def test_the_database_url_has_the_form_of_the_driver(compose: Any) -> None:
    """Server and migration use the same database, by psycopg."""
    both = (compose["services"][name]["environment"] for name in ("server", "migrate", "accounts"))
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
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            if isinstance(mount, dict):
                source = re.sub(r"\$\{[A-Z_]+:-(.+)\}", r"\1", mount["source"])
                assert (mount.get("read_only") is True) is (mount["target"] not in WRITTEN)
                assert source.startswith("./data/") or (pages.ROOT / source).exists(), source
            else:
                assert mount.partition(":")[0] in compose["volumes"], mount
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
    places = (
        "listener", "password_file", "acl_file", "persistence_location",
        "cafile", "certfile", "keyfile", "tls_version", "use_username_as_clientid",
    )  # fmt: skip

    def durable(text: str) -> set[str]:
        return {line for line in _rules(text) if not line.startswith(places)}

    embedded = durable(config_text(pages.ROOT, 1883, as_root=False))
    assert {"persistence true", "autosave_interval 1"} <= embedded
    assert durable(pages.read("xunlou/deploy/mosquitto.conf")) == embedded


def test_terminals_have_one_client_id_each_and_gateways_their_own(compose: Any) -> None:
    """The option holds for the listener above it: for the door of terminals, in both editions, and
    not for those by which a gateway comes with several lines on one account."""
    listeners: dict[str, list[str]] = {}
    for line in _rules(pages.read("xunlou/deploy/mosquitto.conf")):
        if line.startswith("listener "):
            listeners[line.split()[1]] = []
        elif listeners:
            listeners[list(listeners)[-1]].append(line)
    option = "use_username_as_clientid true"
    assert {port: option in lines for port, lines in listeners.items()} == {
        "1883": False, "8883": True, "8884": False,
    }  # fmt: skip
    assert "tls_version tlsv1.2" in listeners["8884"]
    door = Tls(pages.ROOT, 8883, ("broker.example",))
    assert _rules(config_text(pages.ROOT, 1883, as_root=False, tls=door))[-1] == option
    bridges = config_text(pages.ROOT, 1883, as_root=False, tls=door, own_ids=False)
    assert option not in bridges


def test_the_broker_and_who_makes_its_accounts_share_one_folder_and_nothing_else(
    compose: Any,
) -> None:
    """Written by one, read by the other, under one account; the broker has no secret of the
    register, and the command lines are ones that the programs take."""
    broker, accounts = (compose["services"][name] for name in ("mosquitto", "accounts"))
    read = {m["target"]: m for m in broker["volumes"] if isinstance(m, dict)}
    (written,) = accounts["volumes"]
    assert read["/mosquitto/accounts"]["source"] == written["source"]
    assert broker["user"] == accounts["user"]
    assert set(broker["environment"]) == {"XUNLOU_MQTT_PASSWORD"}
    given = set(accounts["environment"]) - {"XUNLOU_LOG_LEVEL", "XUNLOU_LOG_FORMAT"}
    assert given == {
        "XUNLOU_DATABASE_URL", "XUNLOU_TERMINAL_SECRET", "XUNLOU_MQTT_PASSWORD",
        "XUNLOU_DEVICES_FILE",
    }  # fmt: skip
    assert "ports" not in accounts
    shell, script, passwords, *program = broker["command"]
    assert (shell, program) == ("sh", ["mosquitto", "-c", "/mosquitto/config/mosquitto.conf"])
    assert script in read
    assert f"password_file {passwords}" in pages.read("xunlou/deploy/mosquitto.conf")
    for name in ("accounts", "migrate"):
        _parser().parse_args(compose["services"][name]["command"])


def test_the_database_is_migrated_with_a_backup_first(compose: Any) -> None:
    """Into a folder of this machine, which outlives the container."""
    migrate = compose["services"]["migrate"]
    asked = _parser().parse_args(migrate["command"])
    (folder,) = migrate["volumes"]
    assert str(asked.backups) == folder["target"]
    assert not asked.without_backup
