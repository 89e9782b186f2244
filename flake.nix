{
  description = "An eBPF and Kubernetes workshop: runs and checks its six labs on a real cluster";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
    rust-overlay.url = "github:oxalica/rust-overlay";
    rust-overlay.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      rust-overlay,
    }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      overlays = [ rust-overlay.overlays.default ];
      forEachSystem =
        output: lib.genAttrs systems (system: output (import nixpkgs { inherit system overlays; }));

      toolchain = pkgs: pkgs.rust-bin.fromRustupToolchainFile ./rust-toolchain.toml;

      # nixpkgs wraps clang to harden what it compiles. For the BPF target that is an error ("unsupported option
      # '-fzero-call-used-regs=used-gpr'", https://github.com/NixOS/nixpkgs/issues/325587), so probes get the
      # compiler itself; host programs keep their hardening. Our headers need neither the kernel's nor libc's.
      bpfClang = pkgs: "${pkgs.llvmPackages.clang-unwrapped}/bin/clang";

      pins = builtins.fromTOML (builtins.readFile ./manifests/pins.toml);

      # A program of nixpkgs. If it is older than the pins ask for, evaluation fails, not a lab.
      newEnough =
        name: package:
        let
          version = lib.getVersion package;
          inherit (pins.tools.${name}) least;
        in
        assert lib.assertMsg (lib.versionAtLeast version least) ''
          nixpkgs has ${name} ${version}, manifests/pins.toml asks for ${least}: nix flake update nixpkgs
        '';
        package;

      workspace =
        pkgs:
        import ./nix/workspace.nix {
          inherit pkgs;
          toolchain = toolchain pkgs;
          bpfClang = bpfClang pkgs;
          checkout = self;
        };

      # xtask in the dev shell, in the checkout that this is typed in. Programs are built there, not in the store: labs
      # need root, the network and the running kernel, which Nix's sandbox has not.
      xtask = pkgs: command: {
        type = "app";
        meta.description = "${command}, in the dev shell";
        program = "${pkgs.writeShellScript "xtask" ''
          exec nix --extra-experimental-features 'nix-command flakes' develop ${self} \
            --command ${command} "$@"
        ''}";
      };
    in
    {
      # `nix develop`: all that `cargo xtask` looks for, so that `--install` is not needed.
      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = [
            (toolchain pkgs)
            (newEnough "kind" pkgs.kind)
            (newEnough "helm" pkgs.kubernetes-helm)
            pkgs.kubectl
            pkgs.bpftools
            pkgs.chromium
            pkgs.elfutils
            pkgs.go
            pkgs.iproute2
            pkgs.libseccomp
            pkgs.nftables
            pkgs.nodejs
            pkgs.pkg-config
            pkgs.zlib
          ];
          env.BPF_CLANG = bpfClang pkgs;
        };
      });

      # `nix build .#bee`
      packages = forEachSystem (pkgs: (workspace pkgs).packages);

      # `nix run .#lab -- all`, `nix run . -- doctor`
      apps = forEachSystem (pkgs: {
        default = xtask pkgs "cargo xtask";
        lab = xtask pkgs "cargo xtask lab";
      });

      # `nix flake check`
      checks = forEachSystem (pkgs: (workspace pkgs).checks);

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
