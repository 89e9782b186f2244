# What the flake makes of stubs of its inputs, as data; `xtask/tests/flake.rs` looks at it. nixpkgs itself can't be
# fetched everywhere that tests run: this proves what we wrote, not what it stands on.
{
  # The versions that the stub has.
  kind ? "99.0",
  helm ? "99.0",
  go ? "99.0",
}:
let
  flake = import ../../flake.nix;

  outputs = flake.outputs {
    self = outputs // {
      outPath = "/checkout";
    };
    nixpkgs = {
      outPath = ./nixpkgs;
      lib = import ./nixpkgs/lib.nix;
    };
    rust-overlay.overlays.default = final: previous: {
      rust-bin.fromRustupToolchainFile =
        file:
        previous.stub "rust-${(builtins.fromTOML (builtins.readFile file)).toolchain.channel}" { };
      # The one place that this file can reach the stub by.
      kind = previous.stub "kind-${kind}" { };
      kubernetes-helm = previous.stub "kubernetes-helm-${helm}" { };
      go = previous.stub "go-${go}" { };
    };
  };

  # A derivation as JSON would be its path only.
  data =
    value:
    if value.type or null == "derivation" then
      value.drvAttrs
    else if builtins.isAttrs value then
      builtins.mapAttrs (_: data) value
    else
      value;
in
{
  inputs = builtins.attrNames flake.inputs;
  outputs = data outputs;
  # What npm gets, by system.
  npm = builtins.mapAttrs (
    _: packages: packages.kebpf.npmDeps.packageLock.packages
  ) outputs.packages;
}
