{
  description = "An eBPF and Kubernetes workshop: runs and checks its six labs on a real cluster";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
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
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      overlays = [ rust-overlay.overlays.default ];
      forEachSystem =
        output: nixpkgs.lib.genAttrs systems (system: output (import nixpkgs { inherit system overlays; }));
    in
    {
      # `nix develop`: all that `cargo xtask lab all` looks for, so that `--install` is not needed.
      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [
            (rust-bin.fromRustupToolchainFile ./rust-toolchain.toml)
            go
            nodejs
            pkg-config
            libelf
            zlib
            libseccomp
            iproute2
            nftables
            bpftools
          ];

          # nixpkgs wraps clang to harden what it compiles. For the BPF target that is an error ("unsupported option
          # '-fzero-call-used-regs=used-gpr'", https://github.com/NixOS/nixpkgs/issues/325587), so probes get the
          # compiler itself; host programs keep their hardening. Our headers need neither the kernel's nor libc's.
          BPF_CLANG = "${pkgs.llvmPackages.clang-unwrapped}/bin/clang";
        };
      });

      # `nix run . -- lab all`: xtask in the dev shell, in the checkout that this is typed in. Programs are built
      # there, not in the store: labs need root, the network and the running kernel, which Nix's sandbox has not.
      apps = forEachSystem (pkgs: rec {
        default = lab;
        lab = {
          type = "app";
          meta.description = "cargo xtask, in the dev shell";
          program = "${pkgs.writeShellScript "lab" ''
            exec nix --extra-experimental-features 'nix-command flakes' develop ${self} --command cargo xtask "$@"
          ''}";
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
