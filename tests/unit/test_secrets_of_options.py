"""No secret of an option is put on record, printed or sent to anybody else."""

import pytest

from probes.dashboard import Dashboard, split_user
from scalelag.cluster.urls import check_url, hide_credentials
from scalelag.errors import UsageError
from scalelag.options.checks import hide_body_secrets, hide_query_secrets
from scalelag.options.run_options import run_options
from scalelag.plugin.parent import fit_for_record


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("Authorization: Bearer ${TOKEN}", "Authorization: (not recorded)${TOKEN}"),
        ("X-Key-Id: s3cret ${REGION} s3cret", "X-Key-Id: (not recorded)${REGION}(not recorded)"),
        ("X-A: ${A}", "X-A: ${A}"),
        ("X-A: s3cret", "X-A: (not recorded)"),
    ],
)
@pytest.mark.parametrize("option", ["header", "dashboard_header"])
def test_only_the_variables_of_a_header_are_on_record(option, header, shown):
    public = run_options({option: [header]}).public()

    assert public[option] == [shown]
    assert "s3cret" not in str(public)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/x?api_key=s3cret&n=1", "/x?api_key=(not recorded)&n=1"),
        ("/x?n=1&access_token=s3cret", "/x?n=1&access_token=(not recorded)"),
        ("/x?n=1", "/x?n=1"),
        ("/x?sig=s3cret", "/x?sig=(not recorded)"),
        ("/x?jwt=s3cret&design=1", "/x?jwt=(not recorded)&design=1"),
        ("/x?p%61ssword=s3cret", "/x?p%61ssword=(not recorded)"),
        ("/x?session_id=s3cret#a", "/x?session_id=(not recorded)#a"),
        ("/x?key={{ id }}", "/x?key={{ id }}"),
        ("/token=1", "/token=1"),
    ],
)
def test_a_secret_in_a_query_is_sent_and_not_put_on_record(path, shown):
    options = run_options({"path": path})

    assert hide_query_secrets(path) == shown
    assert (options.request.path, options.request.name) == (path, shown)
    assert options.public()["path"] == shown


PASSWORDS = ("s3cret", "s3%40cret", "s3@cret", "s3:cret@x")


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_of_a_url_is_shown_nowhere(password):
    url = f"http://me:{password}@127.0.0.1:8265"
    dashboard = Dashboard(url, lambda: 0.0)

    assert dashboard.url == "http://127.0.0.1:8265"
    assert hide_credentials(f"GET {url}/api: refused") == "GET http://127.0.0.1:8265/api: refused"
    assert fit_for_record(f"{url}/x") == "http://127.0.0.1:8265/x"
    assert run_options({"dashboard": url}).public()["dashboard"] == "http://127.0.0.1:8265"
    assert split_user(url)[1] is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://me:s3/cret@127.0.0.1:8265",
        "http://me:s3#cret@127.0.0.1:8265",
        "http://me:s3 cret@127.0.0.1:8265",
        "me:s3cret@127.0.0.1:8265",
        "ftp://me:s3@cret@127.0.0.1:8265",
    ],
)
def test_a_password_in_what_is_no_url_is_refused_without_showing_it(url):
    with pytest.raises(UsageError, match=r"is not a URL; .*%2F for /") as caught:
        check_url(url)

    assert "cret" not in str(caught.value)
    assert "s3" not in str(caught.value)


def test_a_header_whose_variable_has_a_line_break_is_refused_before_the_load():
    options = run_options({"header": ["X-A: ${A}"]})

    assert options.request.headers_with_secrets({"A": "x\n"}) == {"X-A": "x"}
    with pytest.raises(UsageError, match="line break"):
        options.request.headers_with_secrets({"A": "x\r\nY: z"})


@pytest.mark.parametrize("path", ["/a b", "/a\nb", "/a\tb"])
def test_a_path_that_cannot_be_sent_is_refused_before_the_load(path):
    with pytest.raises(UsageError, match=r"--path(.|\n)*no spaces"):
        run_options({"path": path})


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"api_key": "s3cret", "n": 1}', '{"api_key": "(not recorded)", "n": 1}'),
        ('{"a": {"Password":"s3\\"cret"}}', '{"a": {"Password":"(not recorded)"}}'),
        ('{"max_tokens": 5, "stop_token": "a"}', '{"max_tokens": 5, "stop_token": "a"}'),
        ('{"token": "s3cret"}', '{"token": "(not recorded)"}'),
        ('{"secret": {{ secret | tojson }}}', '{"secret": {{ secret | tojson }}}'),
    ],
)
def test_a_secret_in_a_body_is_sent_and_not_put_on_record(body, shown):
    options = run_options({"json_body": body, "method": "POST"}) if "{{" not in body else None

    assert hide_body_secrets(body) == shown
    if options is not None:
        assert options.public()["json_body"] == shown
        assert options.raw["json_body"] == body


@pytest.mark.parametrize("option", ["dashboard", "prometheus"])
@pytest.mark.parametrize("url", ["http://h:8265?token=s3cret", "http://h:8265/#s3cret"])
def test_a_secret_behind_a_url_is_refused_without_showing_it(option, url):
    with pytest.raises(UsageError, match="leave it out") as refused:
        run_options({option: url})

    assert "s3cret" not in str(refused.value)
