# The shell of `nix develop`: all that `cargo xtask` looks for, so that `--install` is not needed.
{
  pkgs,
  # The pinned Rust.
  toolchain,
  # A clang that compiles probes.
  bpfClang,
}:
let
  inherit (pkgs) lib;

  pins = builtins.fromTOML (builtins.readFile ../manifests/pins.toml);

  # The language of a Go module, `go 1.26.0`: an older Go would fetch that one first.
  goOf =
    module:
    let
      lines = lib.splitString "\n" (builtins.readFile module);
    in
    lib.removePrefix "go " (lib.findFirst (lib.hasPrefix "go ") "go 0" lines);

  # A package of nixpkgs. If it is older than what `file` asks for, evaluation fails, not a lab.
  since =
    least: file: name: package:
    let
      version = lib.getVersion package;
    in
    assert lib.assertMsg (lib.versionAtLeast version least) ''
      nixpkgs has ${name} ${version}, ${file} asks for ${least}: nix flake update nixpkgs
    '';
    package;
  pinned = name: since pins.tools.${name}.least "manifests/pins.toml" name;

  packages = [
    toolchain
    (pinned "kind" pkgs.kind)
    (pinned "helm" pkgs.kubernetes-helm)
    (since (goOf ../kubernetes/go.mod) "kubernetes/go.mod" "go" pkgs.go)
    pkgs.kubectl
    pkgs.bpftools
    pkgs.chromium
    pkgs.curl
    pkgs.elfutils
    pkgs.git
    pkgs.gnumake
    pkgs.iproute2
    pkgs.iptables
    pkgs.libseccomp
    pkgs.nftables
    pkgs.pkg-config
    # `mount` and `umount` for kubelet: NixOS has them in /run, where a node has files of its own.
    pkgs.util-linux
    pkgs.zlib
  ];

  # nixpkgs' stdenv dates all that is built 1980. That is right for packages, and not for probes that somebody builds by hand;
  # a date that is meant can be set in the shell.
  shellHook = "unset SOURCE_DATE_EPOCH";
in
{
  shell = pkgs.mkShell {
    inherit packages shellHook;
    env.BPF_CLANG = bpfClang;
  };

  checks.shell = pkgs.runCommand "check-shell" { nativeBuildInputs = packages; } ''
    ${shellHook}
    [ -z "''${SOURCE_DATE_EPOCH-}" ]
    ${bpfClang} --print-targets | grep --quiet bpf
    for program in cargo cc curl git go gzip helm ip iptables kind make mount nft pkg-config tar umount; do
      type -P "$program"
    done
    for library in libelf libseccomp zlib; do
      pkg-config --exists "$library"
    done
    touch $out
  '';
}
