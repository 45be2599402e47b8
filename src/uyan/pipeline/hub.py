"""A folder on the Hugging Face hub. The one place that talks to it, with the user's own token."""

from pathlib import Path

from uyan.errors import ConfigError


def upload(folder: Path, repo: str, private: bool) -> str:
    """Make the repository if it is not there, put the folder's files into it; its address.

    Raises ConfigError when there is no token, the name is none, or the hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import LocalTokenNotFoundError

    api = HfApi()
    try:
        api.whoami()
        api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Wake word by uyan")
    except LocalTokenNotFoundError as reason:
        raise ConfigError("no token for the hub on this computer; `hf auth login` stores one") from reason
    except Exception as reason:  # its transport is a package of its own, whose errors have no name here
        said = str(reason).strip().splitlines()
        raise ConfigError(f"{repo}: the hub refused ({said[0] if said else type(reason).__name__})") from reason
    return f"{api.endpoint}/{repo}"
